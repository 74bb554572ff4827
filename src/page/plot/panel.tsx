import { useEffect, useMemo, useRef } from 'preact/hooks';
import { useOnScreen } from '../lib/hooks.ts';
import { formatReading } from '../lib/numbers.ts';
import type { Board, Trace } from './board.ts';
import { type Chart, createChart } from './chart.ts';
import type { Colors } from './colors.ts';
import { attachGestures } from './gestures.ts';
import type { Drawn, Mark } from './honesty.ts';
import { readingNear } from './series.ts';
import type { Range } from './window.ts';

/** A line of a plot with its label, unit, colour and marks. */
export interface PanelLine extends Trace {
  label: string;
  units: string | null;
  color: string;
  marks: Mark[];
}

interface PanelProps {
  board: Board;
  lines: readonly PanelLine[];
  isLog: boolean;
  width: number;
  height: number;
  rightAxes: number;
  colors: Colors;
  ticks(range: Range): number[];
  /** Called after every drawing with what it shows. */
  onDrawn(summary: PictureSummary): void;
  onCursor(values: (number | null | undefined)[]): void;
}

/** What a drawing shows, for the text beside the plot. */
export interface PictureSummary {
  points: number;
  isDownSampled: boolean | undefined;
  isRead: boolean;
  /** False while finer points are being read for the window. */
  isFine: boolean;
  /** Chunks within the window that are missing, were replaced, or were stored after the stream was finalized. */
  missing: number;
  replaced: number;
  late: number;
  /** Readings of 0 or less, which a logarithmic axis cannot show. */
  belowLog: number;
}

/** The picture of one plot. The chart exists only while it is on the screen. */
export function PlotPanel(props: PanelProps) {
  const { place, isOnScreen } = useOnScreen<HTMLDivElement>();
  const chart = useRef<Chart | undefined>(undefined);
  const { board, lines, isLog, width, height, rightAxes, colors } = props;
  const shape = useMemo(
    () =>
      JSON.stringify([
        lines.map(({ dataId, channel, units, color }) => [dataId, channel, units, color]),
        isLog,
        rightAxes,
      ]),
    [lines, isLog, rightAxes],
  );
  const latest = useRef({ ...props, shape });
  latest.current = { ...props, shape };
  useEffect(() => {
    const element = place.current;
    if (!isOnScreen || element === null || width === 0) return;
    const made = createChart({
      ...{ place: element, lines, isLog, width, height, rightAxes, colors },
      ticks: (range) => latest.current.ticks(range),
      onZoom: (range) => board.setWindow({ kind: 'fixed', ...range }),
      onCursor: (ms) => board.setCursor(ms),
    });
    chart.current = made;
    const detach = attachGestures(element, board);
    const leave = board.add({
      traces: lines,
      draw(range) {
        // A chart that was made for other lines is about to be replaced, and has no place for these.
        if (latest.current.shape === shape) drawPanel(made, latest.current, range, element);
      },
      point: (ms) => {
        made.point(ms);
        const { onCursor, lines: now } = latest.current;
        onCursor(now.map((line) => (ms === null ? undefined : readingNear(board.series(line), ms)?.value)));
      },
    });
    return () => {
      leave();
      detach();
      made.destroy();
      chart.current = undefined;
    };
  }, [board, shape, isOnScreen, height, colors, width === 0]);
  useEffect(() => {
    if (width === 0) return;
    chart.current?.resize(width);
    board.redraw();
  }, [board, width]);
  useEffect(() => board.redraw(), [board, props.lines]);
  return (
    <div
      class="plot"
      ref={place}
      style={{ height: `${height}px` }}
      role="img"
      aria-label={lines.map(({ label }) => label).join('; ')}
    />
  );
}

function drawPanel(
  chart: Chart,
  { board, lines, isLog, onDrawn }: PanelProps,
  range: Range,
  element: HTMLElement,
): void {
  const all = lines.map((line) => ({ ...board.series(line), marks: line.marks }));
  const drawn: Drawn[] = all.map(({ times, values, gaps, marks }) => ({ times, values, gaps, marks }));
  chart.draw(drawn, range);
  const inWindow = (ms: number) => ms >= range.fromMs && ms <= range.toMs;
  const summary: PictureSummary = {
    points: 0,
    isDownSampled: false,
    isRead: lines.every((line) => board.isRead(line)),
    isFine: lines.every((line) => board.isFine(line)),
    missing: 0,
    replaced: 0,
    late: 0,
    belowLog: 0,
  };
  let newest = Number.NEGATIVE_INFINITY;
  for (const { times, values, gaps, downSampled, marks } of all) {
    for (const { kind, fromMs, toMs, chunks } of marks)
      if (toMs >= range.fromMs && fromMs <= range.toMs) summary[kind] += chunks;

    for (let i = 0; i < times.length; i++) {
      const value = values[i];
      if (value === null || value === undefined || !inWindow(times[i] as number)) continue;
      summary.points++;
      if (isLog && value <= 0) summary.belowLog++;
    }
    newest = Math.max(newest, times.at(-1) ?? newest);
    for (const gap of gaps) {
      if ((gap.endsMs ?? range.toMs) <= range.toMs && (gap.beginsMs ?? range.fromMs) >= range.fromMs)
        summary.missing += gap.toChunk - gap.fromChunk + 1;
    }
    if (downSampled !== false)
      summary.isDownSampled = downSampled === undefined ? summary.isDownSampled || undefined : true;
  }
  // The tests read from these attributes what is drawn.
  element.dataset.newest = String(newest);
  element.dataset.points = String(summary.points);
  element.dataset.window = `${range.fromMs} ${range.toMs}`;
  element.dataset.fine = String(summary.isFine);
  // Points may come without a render.
  element.ariaLabel = wordsOf(board, lines);
  onDrawn(summary);
}

/** The picture in words, for those who do not see it. */
function wordsOf(board: Board, lines: readonly PanelLine[]): string {
  return lines
    .map((line) => {
      const values = board.series(line).values.filter((value) => value !== null);
      if (values.length === 0) return `${line.label}: no readings in this window`;
      const [low, high] = values.reduce(
        ([min, max], value) => [Math.min(min, value), Math.max(max, value)],
        [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
      );
      const units = line.units === null ? '' : ` ${line.units}`;
      return `${line.label}: from ${formatReading(low)} to ${formatReading(high)}${units}`;
    })
    .join('; ');
}
