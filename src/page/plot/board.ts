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
  /** The cursor stands at an instant, or nowhere. */
  point(ms: number | null): void;
}

/** What all plots of a view share: the window, the cursor, and what is read. */
export interface Board {
  range(): Range;
  spec(): WindowSpec;
  /** @param isFinal false while a hand still moves it */
  setWindow(spec: WindowSpec, isFinal?: boolean): void;
  setWidth(pixels: number): void;
  add(plot: Plot): () => void;
  setCursor(ms: number | null): void;
  series(trace: Trace): Series;
  isRead(trace: Trace): boolean;
  /** Whether what is drawn of it is as fine as the window wants it; else finer points are being read. */
  isFine(trace: Trace): boolean;
  /** What a run holds; of aligned runs all begin at 0. */
  span(): Range | undefined;
  /** Where a run begins, in Unix ms. */
  startOf(dataId: string): number;
  /** A stretch of a channel has changed at the server. Unix ms. */
  changed(trace: Trace, span: Range): void;
  redraw(): void;
  /** The server is back: what was asked of it before may never be answered. */
  again(): void;
  close(): void;
}

export interface BoardRun {
  dataId: string;
  /** Unix ms of all that it holds. */
  span: Range | undefined;
  read: ReadSeries;
}

interface BoardOptions {
  runs: readonly BoardRun[];
  spec: WindowSpec;
  /** True: every run is drawn from its own start, at 0. */
  isAligned: boolean;
  /** What will be on the screen, as far as that is known before there is a plot, and how wide: it is read at once. */
  first?: { traces: readonly Trace[]; width: number };
  onWindow(spec: WindowSpec): void;
  onFailure(failure: ApiFailure | undefined): void;
  /** Told when all that is on the screen has been read and drawn, time and again. */
  onPicture?(): void;
}

/** Points a channel for each pixel of width: the smallest and the largest of every column. */
const pointsPerPixel = 2;
const pixelsMin = 200;
/** A window goes into the address when it has been still for so long: browsers refuse an address that changes all the time. */
const settledMs = 120;

export function createBoard(options: BoardOptions): Board {
  const { runs, isAligned, first, onWindow, onFailure, onPicture } = options;
  let { spec } = options;
  let cursorMs: number | null = null;
  let telling: ReturnType<typeof setTimeout> | undefined;
  const plots = new Set<Plot>();
  const spans = createSpans(runs, isAligned);
  const range = () => visibleRange(spec, spans.all());
  let isOther = false;
  const drawing = oncePerFrame(() => {
    // The readers hear of another window before it is drawn: what is drawn of it depends on what is here for it.
    if (isOther) reading.tell();
    isOther = false;
    const shown = range();
    for (const plot of plots) plot.draw(shown);
    // What was asked for before there was a plot may be here before it.
    const traces = tracesOf(plots);
    if (traces.length > 0 && traces.every(isRead)) onPicture?.();
  });
  const pointing = oncePerFrame(() => {
    for (const plot of plots) plot.point(cursorMs);
  });
  const isRead = ({ dataId, channel }: Trace) => reading.of(dataId)?.isRead(channel) ?? false;
  const reading = createReading(runs, { onRead: drawing.ask, onFailure, plots, spans, first, spec: () => spec });
  const show = () => {
    isOther = true;
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
      clearTimeout(telling);
      if (isFinal) telling = setTimeout(() => onWindow(spec), settledMs);
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
      clearTimeout(telling);
      for (const frames of [drawing, pointing]) frames.stop();
      reading.close();
    },
  };
}

/** The axis of time has none. */
const tracesOf = (plots: ReadonlySet<Plot>) => [...plots].flatMap(({ traces }) => traces);

/** What each run holds, and where it is drawn. */
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

/** The readers of all runs: each is told once a frame what is on the screen. */
function createReading(runs: readonly BoardRun[], { onRead, onFailure, plots, spans, first, spec }: ReadingOptions) {
  let width = first?.width ?? 1_000;
  const readers = new Map(runs.map(({ dataId, read }) => [dataId, new Reader({ read, onRead, onFailure })]));
  const want = (traces: readonly Trace[]) => {
    const whole = spans.all();
    if (whole === undefined) return;
    // The margins around all that there is hold nothing that could be read.
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
    tell() {
      const traces = tracesOf(plots);
      isBegun ||= traces.length > 0;
      // Until the plots are there, what they will show goes on being read.
      if (isBegun || first === undefined) want(traces);
    },
    of: (dataId: string) => readers.get(dataId),
    setWidth(pixels: number) {
      // A width that changes by a little asks for no other points.
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

/** Series in their places: the same object as long as both are the same, so that a plot sees that nothing has changed. */
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
