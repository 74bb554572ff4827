import type { ApiFailure } from '../api/failure.ts';
import type { ReadSeries } from '../api/readings.ts';
import { oncePerFrame } from '../lib/frames.ts';
import type { WindowSpec } from '../url-state.ts';
import { Reader } from './reader.ts';
import type { Series } from './series.ts';
import { follows, type Range, united, visibleRange } from './window.ts';

/** A channel of a run, as a line in a plot. */
export interface Trace {
  dataId: string;
  channel: string;
}

/** A plot that is on the screen. */
export interface Plot {
  traces: readonly Trace[];
  draw(range: Range): void;
  /** Shows the cursor at an instant in ms, or hides it. */
  point(ms: number | null): void;
}

/** What all plots of a view share: the window, the cursor, and the points that were read. */
export interface Board {
  range(): Range;
  spec(): WindowSpec;
  /** @param isFinal false while the user still drags */
  setWindow(spec: WindowSpec, isFinal?: boolean): void;
  setWidth(pixels: number): void;
  add(plot: Plot): () => void;
  setCursor(ms: number | null): void;
  series(trace: Trace): Series;
  isRead(trace: Trace): boolean;
  /** Whether the points that are drawn are as dense as the window needs. Otherwise finer ones are being read. */
  isFine(trace: Trace): boolean;
  /** The time span of all runs. Aligned runs all begin at 0. */
  span(): Range | undefined;
  /** Where a run begins, in Unix ms. */
  startOf(dataId: string): number;
  /** To be called when a range of a channel, in Unix ms, has changed at the server. */
  changed(trace: Trace, span: Range): void;
  redraw(): void;
  /** To be called when the connection is back: requests from before may never be answered, so they are sent again. */
  again(): void;
  close(): void;
}

export interface BoardRun {
  dataId: string;
  /** The span of all its times, in Unix ms. */
  span: Range | undefined;
  read: ReadSeries;
}

interface BoardOptions {
  runs: readonly BoardRun[];
  spec: WindowSpec;
  /** True to draw every run from its own start, at 0. */
  isAligned: boolean;
  /** A guess of what will be on the screen, and how wide, before the plots exist. It is read at once. */
  first?: { traces: readonly Trace[]; width: number };
  onWindow(spec: WindowSpec): void;
  onFailure(failure: ApiFailure | undefined): void;
  /** Called after each frame in which everything on the screen has been read and drawn. */
  onPicture?(): void;
}

/** Points of a channel for each pixel of width: the smallest and the largest of every column. */
const pointsPerPixel = 2;
const pixelsMin = 200;
/** The window is written into the address when it has not moved for this long: browsers limit how often an address may change. */
const settledMs = 120;

export function createBoard(options: BoardOptions): Board {
  const { runs, isAligned, first, onWindow, onFailure, onPicture } = options;
  let { spec } = options;
  let cursorMs: number | null = null;
  let addressTimer: ReturnType<typeof setTimeout> | undefined;
  const plots = new Set<Plot>();
  const spans = createSpans(runs, isAligned);
  const range = () => visibleRange(spec, spans.all());
  let hasNewWindow = false;
  const drawing = oncePerFrame(() => {
    // The readers get the window before it is drawn, since it decides which of their points are drawn.
    if (hasNewWindow) reading.update();
    hasNewWindow = false;
    const shown = range();
    for (const plot of plots) plot.draw(shown);
    // The points of `first` may come before there is a plot.
    const traces = tracesOf(plots);
    if (traces.length > 0 && traces.every(isRead)) onPicture?.();
  });
  const pointing = oncePerFrame(() => {
    for (const plot of plots) plot.point(cursorMs);
  });
  const isRead = ({ dataId, channel }: Trace) => reading.of(dataId)?.isRead(channel) ?? false;
  const reading = createReading(runs, { onRead: drawing.ask, onFailure, plots, spans, first, spec: () => spec });
  const show = () => {
    hasNewWindow = true;
    drawing.ask();
  };
  return {
    range,
    span: spans.all,
    startOf: spans.startOf,
    spec: () => spec,
    setWindow(next, isFinal = true) {
      spec = next;
      show();
      clearTimeout(addressTimer);
      if (isFinal) addressTimer = setTimeout(() => onWindow(spec), settledMs);
    },
    setWidth(pixels) {
      reading.setWidth(pixels);
      show();
    },
    add(plot) {
      plots.add(plot);
      show();
      return () => {
        plots.delete(plot);
        show();
      };
    },
    setCursor(ms) {
      cursorMs = ms;
      pointing.ask();
    },
    series: ({ dataId, channel }) => inPlace(reading.of(dataId)?.series(channel), -spans.offsetOf(dataId)),
    isRead,
    isFine: ({ dataId, channel }) => reading.of(dataId)?.isFine(channel) ?? false,
    changed({ dataId, channel }, span) {
      spans.grow(dataId, span);
      reading.of(dataId)?.changed(channel, span);
      show();
    },
    redraw: show,
    again: reading.again,
    close() {
      clearTimeout(addressTimer);
      for (const frames of [drawing, pointing]) frames.stop();
      reading.close();
    },
  };
}

/** The traces of all plots. The time axis is a plot without traces. */
const tracesOf = (plots: ReadonlySet<Plot>) => [...plots].flatMap(({ traces }) => traces);

/** The time span of each run, and the offset at which it is drawn. */
function createSpans(runs: readonly BoardRun[], isAligned: boolean) {
  const spans = new Map(runs.map(({ dataId, span }) => [dataId, span]));
  const startOf = (dataId: string) => spans.get(dataId)?.fromMs ?? 0;
  const offsetOf = (dataId: string) => (isAligned ? startOf(dataId) : 0);
  return {
    startOf,
    offsetOf,
    grow: (dataId: string, span: Range) => spans.set(dataId, united(spans.get(dataId), span)),
    all() {
      let all: Range | undefined;
      for (const [dataId, one] of spans) if (one !== undefined) all = united(all, moved(one, -offsetOf(dataId)));
      return all;
    },
  };
}

interface ReadingOptions {
  onRead(): void;
  onFailure(failure: ApiFailure | undefined): void;
  plots: ReadonlySet<Plot>;
  spans: ReturnType<typeof createSpans>;
  first: BoardOptions['first'];
  spec(): WindowSpec;
}

/** The readers of all runs. Once a frame each gets what is on the screen. */
function createReading(runs: readonly BoardRun[], { onRead, onFailure, plots, spans, first, spec }: ReadingOptions) {
  let width = first?.width ?? 1_000;
  const readers = new Map(runs.map(({ dataId, read }) => [dataId, new Reader({ read, onRead, onFailure })]));
  const want = (traces: readonly Trace[]) => {
    const whole = spans.all();
    if (whole === undefined) return;
    // The margins around the whole span hold no points, so they are not read.
    const isAll = spec().kind === 'all';
    const range = isAll ? { ...whole, toMs: Math.max(whole.toMs, whole.fromMs + 1) } : visibleRange(spec(), whole);
    for (const [dataId, reader] of readers) {
      const onScreen = traces.filter((trace) => trace.dataId === dataId);
      reader.want({
        channels: [...new Set(onScreen.map(({ channel }) => channel))],
        range: moved(range, spans.offsetOf(dataId)),
        isFollowing: follows(spec()),
        pointsMax: Math.max(width, pixelsMin) * pointsPerPixel,
      });
    }
  };
  let isBegun = false;
  if (first !== undefined) want(first.traces);
  return {
    update() {
      const traces = tracesOf(plots);
      isBegun ||= traces.length > 0;
      // Until the plots exist, the read of `first` continues.
      if (isBegun || first === undefined) want(traces);
    },
    of: (dataId: string) => readers.get(dataId),
    setWidth(pixels: number) {
      // A small change of the width needs no other points.
      if (Math.abs(pixels - width) > 40) width = pixels;
    },
    again() {
      for (const reader of readers.values()) reader.again();
    },
    close() {
      for (const reader of readers.values()) reader.close();
    },
  };
}

const moved = ({ fromMs, toMs }: Range, ms: number): Range => ({ fromMs: fromMs + ms, toMs: toMs + ms });

const nothing: Series = { times: [], values: [], gaps: [], downSampled: false };

/** Shifted series. For the same series and offset it is the same object, by which a plot sees that nothing has changed. */
const placed = new WeakMap<Series, { ms: number; series: Series }>();

function inPlace(series: Series = nothing, ms: number): Series {
  if (ms === 0) return series;
  const before = placed.get(series);
  if (before?.ms === ms) return before.series;
  const { times, gaps } = series;
  const at = (time: number | null) => (time === null ? null : time + ms);
  const moved = {
    ...series,
    times: times.map((time) => time + ms),
    gaps: gaps.map((gap) => ({ ...gap, endsMs: at(gap.endsMs), beginsMs: at(gap.beginsMs) })),
  };
  placed.set(series, { ms, series: moved });
  return moved;
}
