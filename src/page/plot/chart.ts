import uPlot from 'uplot';
import { axisLabels, logLabels } from '../lib/numbers.ts';
import type { Colors } from './colors.ts';
import { type Drawn, drawGaps, drawMarks } from './honesty.ts';
import { placeFrom } from './series.ts';
import type { Range } from './window.ts';

/**
 * A line of few points is drawn thicker than one of many. Without a graphics processor, as on many a tablet at a tool, a
 * thick line with a point for each pixel takes twenty times as long (11 ms instead of 0.5 ms for 2,400 points).
 */
const lineWidths = { few: 1.5, many: 1 };
/** A line with more points than this for each pixel of width has many. */
const manyPerPixel = 0.5;

/** Width of the axis on the left, and of each one on the right. It is the same in all plots, so that equal times align. */
export const leftPixels = 68;
export const rightPixels = 58;
const edgePixels = 12;

export interface PlotLine {
  units: string | null;
  color: string;
}

export interface Chart {
  /** Draws, unless nothing has changed since the last call. */
  draw(lines: readonly Drawn[], range: Range): void;
  /** Shows the cursor at an instant in ms, or hides it. */
  point(ms: number | null): void;
  resize(width: number): void;
  canvas: HTMLCanvasElement;
  destroy(): void;
}

interface ChartOptions {
  place: HTMLElement;
  lines: readonly PlotLine[];
  isLog: boolean;
  width: number;
  height: number;
  /** Number of axes on the right that every plot leaves room for. */
  rightAxes: number;
  colors: Colors;
  ticks(range: Range): number[];
  onZoom(range: Range): void;
  onCursor(ms: number | null): void;
}

/** A plot of some lines, each against the axis of its unit. It draws at once when `draw` is called, and never by itself. */
export function createChart(options: ChartOptions): Chart {
  const { place, lines, width, height } = options;
  let shown: readonly Drawn[] = lines.map(() => ({ times: [], values: [], gaps: [], marks: [] }));
  let range: Range = { fromMs: 0, toMs: 1 };
  let isFromPointer = true;
  let shownTicks = '';
  const units = [...new Set(lines.map((line) => line.units ?? ''))];
  const plot = new uPlot(
    {
      width,
      height,
      ...{ ms: 1, legend: { show: false }, padding: [8, rightPadding(units.length, options.rightAxes), 4, 0] },
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 7 }, y: false, focus: { prox: -1 } },
      scales: { x: { time: false, range: () => [range.fromMs, range.toMs] }, ...scalesOf(units, options.isLog) },
      series: [{}, ...lines.map((line) => seriesOf(line))],
      axes: [timeAxis(options, () => range), ...units.map((unit, i) => valueAxis(unit, i, options))],
      hooks: {
        drawClear: [
          (u) => drawGaps(u, shown, lines.length === 1 ? [options.colors.hatch] : lines.map(({ color }) => color)),
        ],
        draw: [(u) => drawMarks(u, shown, options.colors)],
        setSelect: [
          (u) => {
            if (u.select.width < 4) return;
            const [fromMs, toMs] = [u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x')];
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            options.onZoom({ fromMs, toMs });
          },
        ],
        setCursor: [
          (u) => {
            if (isFromPointer)
              options.onCursor((u.cursor.left ?? -1) < 0 ? null : u.posToVal(u.cursor.left as number, 'x'));
          },
        ],
      },
    },
    [[], ...lines.map(() => [])],
    place,
  );
  return {
    canvas: plot.ctx.canvas,
    draw(next, nextRange) {
      const nextTicks = options.ticks(nextRange).join();
      if (nextTicks === shownTicks && isSameRange(nextRange, range) && next.every((one, i) => isSame(one, shown[i])))
        return;
      [shown, range, shownTicks] = [next, nextRange, nextTicks];
      const pixels = pixelsOf(plot);
      next.forEach(({ times }, i) => {
        const points = placeFrom(times, range.toMs) - placeFrom(times, range.fromMs);
        (plot.series[i + 1] as uPlot.Series).width = points > pixels * manyPerPixel ? lineWidths.many : lineWidths.few;
      });
      plot.setData(joined(next, options.isLog), true);
    },
    point(ms) {
      isFromPointer = false;
      const left = ms === null ? -10 : plot.valToPos(ms, 'x');
      plot.setCursor({ left, top: ms === null ? -10 : 10 }, false);
      isFromPointer = true;
    },
    resize: (next) => plot.setSize({ width: next, height }),
    destroy: () => plot.destroy(),
  };
}

/** The width of the picture. To read it from the element would make the browser compute the layout in every frame. */
const pixelsOf = ({ bbox }: uPlot) => bbox.width / devicePixelRatio;

const isSameRange = (a: Range, b: Range) => a.fromMs === b.fromMs && a.toMs === b.toMs;

const isSame = (a: Drawn, b: Drawn | undefined) =>
  a.times === b?.times && a.values === b.values && isSameList(a.gaps, b.gaps) && isSameList(a.marks, b.marks);

const isSameList = (a: readonly unknown[], b: readonly unknown[]) => a === b || (a.length === 0 && b.length === 0);

const rightPadding = (units: number, rightAxes: number) =>
  edgePixels + Math.max(0, rightAxes - (units - 1)) * rightPixels;

/** The lines as one table with one list of times. A logarithmic axis cannot show values of 0 or less, so they become null. */
function joined(lines: readonly Drawn[], isLog: boolean): uPlot.AlignedData {
  const tables = lines.map(
    ({ times, values }): uPlot.AlignedData => [
      times,
      isLog ? values.map((value) => (value !== null && value > 0 ? value : null)) : values,
    ],
  );
  if (tables.length === 1) return tables[0] as uPlot.AlignedData;
  // 2: a null of a line keeps the line interrupted until its next reading, across times that only other lines have.
  return uPlot.join(
    tables,
    tables.map(() => [1, 2]),
  );
}

const scaleOf = (unit: string) => `y ${unit}`;

function scalesOf(units: readonly string[], isLog: boolean): uPlot.Scales {
  const scale: uPlot.Scale = isLog ? { distr: 3, log: 10 } : { range: { min: { pad: 0.08 }, max: { pad: 0.08 } } };
  return Object.fromEntries(units.map((unit) => [scaleOf(unit), { ...scale }]));
}

function seriesOf({ units, color }: PlotLine): uPlot.Series {
  return {
    scale: scaleOf(units ?? ''),
    stroke: color,
    width: lineWidths.few,
    spanGaps: false,
    points: { show: true, size: 5, width: 0, fill: color, filter: (u, index) => pointsToShow(u, index) },
  };
}

/** All points in the window while they are far apart. Otherwise only points without a neighbour, since no line would show them. */
function pointsToShow(u: uPlot, index: number): number[] {
  const values = u.data[index] as (number | null | undefined)[];
  const times = u.data[0] as number[];
  const [min, max] = [u.scales.x?.min ?? 0, u.scales.x?.max ?? 0];
  const inside: number[] = [];
  const alone: number[] = [];
  let before: number | null = null;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    // Undefined: this time belongs to another line of the plot.
    if (value === undefined) continue;
    if (value !== null && (times[i] as number) >= min && (times[i] as number) <= max) {
      inside.push(i);
      if (before === null && isNextAbsent(values, i)) alone.push(i);
    }
    before = value;
  }
  return inside.length <= pixelsOf(u) / 12 ? inside : alone;
}

function isNextAbsent(values: readonly (number | null | undefined)[], place: number): boolean {
  for (let i = place + 1; i < values.length; i++) if (values[i] !== undefined) return values[i] === null;
  return true;
}

/** The time axis of a plot has only a grid. The times are written once, below all plots. */
function timeAxis({ colors, ticks }: ChartOptions, range: () => Range): uPlot.Axis {
  return {
    size: 0,
    splits: () => ticks(range()),
    values: (_u, splits) => splits.map(() => ''),
    grid: { stroke: colors.grid, width: 1 },
    ticks: { show: false },
  };
}

function valueAxis(unit: string, index: number, { colors, isLog, lines }: ChartOptions): uPlot.Axis {
  const ofUnit = lines.filter((line) => (line.units ?? '') === unit);
  return {
    scale: scaleOf(unit),
    side: index === 0 ? 3 : 1,
    size: index === 0 ? leftPixels : rightPixels,
    stroke: lines.length > 1 && ofUnit.length === 1 ? (ofUnit[0] as PlotLine).color : colors.axis,
    font: '12px system-ui, sans-serif',
    ...(unit !== '' && {
      label: unit,
      labelSize: 18,
      labelFont: '12px system-ui, sans-serif',
      size: index === 0 ? leftPixels - 18 : rightPixels - 18,
    }),
    grid: { show: index === 0, stroke: colors.grid, width: 1 },
    ticks: { stroke: colors.grid, width: 1, size: 4 },
    ...(!isLog && { space: 28 }),
    values: (_u, splits, _axis, _space, step) => (isLog ? logLabels(splits) : axisLabels(splits, step)),
  };
}
