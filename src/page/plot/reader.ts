import { ApiFailure } from '../api/failure.ts';
import { noSeries, rangeToRead, type Series, trimmedBefore, withRange } from './series.ts';
import { firstPart, sharesOf } from './shares.ts';
import { type Stretch, WidePictures } from './wide-pictures.ts';
import { covers, padded, type Range, united } from './window.ts';

/** Bounds of the requests of the page; a test makes them small. */
export const readerLimits = {
  /** The shortest time between two reads of changes. */
  liveMsMin: 250,
  /** Points that are requested at once, of all channels together. */
  pointsAtOnce: 60_000,
  /** Concurrent requests for one window. The server reads the channels of one request one after the other. */
  requestsAtOnce: 3,
  /** Bytes of channel names in the address of one request. */
  nameBytesMax: 6_000,
  retryMsMin: 500,
  retryMsMax: 8_000,
};

export interface Viewed {
  /** Channels that are on the screen. */
  channels: readonly string[];
  range: Range;
  /** True while the window moves with the newest points. */
  isFollowing: boolean;
  /** Points of a channel within the range. Two for each column of the picture show every extreme. */
  pointsMax: number;
}

interface ReaderOptions {
  read(channels: readonly string[], range: Range, pointsMax: number, signal: AbortSignal): Promise<Map<string, Series>>;
  onRead(): void;
  /** Undefined when reads succeed again. */
  onFailure(failure: ApiFailure | undefined): void;
  limits?: Partial<typeof readerLimits>;
}

/** What has been read of a channel. */
interface Held extends Stretch {
  /** The points for each ms that were requested. */
  density: number;
}

/** One read of a range: one request for each part of the channels. */
interface Attempt {
  parts: readonly (readonly string[])[];
  range: Range;
  points: number;
  /** Whether it reads the whole window, not only changes. */
  isWhole: boolean;
  take(channel: string, series: Series): void;
}

const densityOf = ({ range, pointsMax }: Viewed) => pointsMax / (range.toMs - range.fromMs);

/**
 * Reads only what is on the screen, several channels by one request. When points arrive, it reads only the range that has
 * changed and merges it into the series. When the window changes, it reads the whole window, by a few concurrent requests.
 */
export class Reader {
  readonly #options: ReaderOptions;
  readonly #limits: typeof readerLimits;
  readonly #held = new Map<string, Held>();
  readonly #wide = new WidePictures();
  /** By channel the range that has changed at the server since it was read. */
  readonly #dirty = new Map<string, Range>();
  #wanted: Viewed | undefined;
  #underWay: { abort: AbortController; isWhole: boolean; range: Range } | undefined;
  #waitMs: number;
  #nextLiveMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#limits = { ...readerLimits, ...options.limits };
    this.#waitMs = this.#limits.retryMsMin;
  }

  /** Sets what is on the screen, and begins at once to read what is lacking. */
  want(next: Viewed): void {
    this.#wanted = next;
    // A read of a window that is not shown any more is aborted.
    if (this.#underWay?.isWhole && !covers(this.#underWay.range, next.range)) this.#underWay.abort.abort();
    clearTimeout(this.#timer);
    void this.#step();
  }

  /** To be called when a range of a channel has changed at the server. */
  changed(channel: string, span: Range): void {
    this.#wide.changed(channel, span);
    this.#dirty.set(channel, united(this.#dirty.get(channel), span));
    this.#plan(Math.max(0, this.#nextLiveMs - performance.now()));
  }

  /** What can be drawn now. Of a window that was not read yet it may be a part only, or coarse. */
  series(channel: string): Series {
    const here = this.#held.get(channel);
    if (here === undefined) return noSeries;
    return this.#wanted === undefined ? here.series : this.#wide.around(channel, here, this.#wanted.range);
  }

  /** Whether its points are as dense as the window needs. */
  isFine(channel: string): boolean {
    return this.#wanted !== undefined && this.#fits(channel, this.#wanted);
  }

  /** Whether a channel has been read at all. */
  isRead(channel: string): boolean {
    return this.#held.has(channel);
  }

  /** Repeats the read that is under way, since its connection was lost. */
  again(): void {
    this.#underWay?.abort.abort();
    this.#plan(0);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#underWay?.abort.abort();
  }

  #plan(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#isClosed) this.#timer = setTimeout(() => void this.#step(), ms);
  }

  async #step(): Promise<void> {
    const wanted = this.#wanted;
    if (this.#isClosed || wanted === undefined || this.#underWay !== undefined) return;
    const whole = wanted.channels.filter((channel) => !this.#fits(channel, wanted));
    if (whole.length > 0) return this.#readWhole(whole, wanted);
    if (this.#dirty.size === 0) return;
    const soon = this.#nextLiveMs - performance.now();
    if (soon > 0) return this.#plan(soon);
    await this.#readChanged(wanted);
  }

  /** Whether the series of a channel covers the window and is dense enough. */
  #fits(channel: string, wanted: Viewed): boolean {
    const here = this.#held.get(channel);
    if (here === undefined || !covers(here.range, wanted.range)) return false;
    if (here.series.downSampled !== false && here.density < densityOf(wanted) * 0.9) return false;
    // A series that has grown by many small reads is replaced by one of the whole window before it becomes too long.
    const widths = (here.range.toMs - here.range.fromMs) / (wanted.range.toMs - wanted.range.fromMs);
    return here.series.times.length <= 2.5 * wanted.pointsMax * Math.max(1, widths);
  }

  async #readWhole(channels: readonly string[], wanted: Viewed): Promise<void> {
    const { range, pointsMax, isFollowing } = wanted;
    // With a margin the window can be moved without a hole at its edge. A window that follows moves to the right only.
    const around = isFollowing ? { ...range, toMs: 2 * range.toMs - range.fromMs } : padded(range, 0.25);
    const points = isFollowing ? pointsMax : pointsMax * 1.5;
    const part = firstPart(channels, points, this.#limits);
    const old = new Map([...this.#dirty].filter(([channel]) => part.includes(channel)));
    for (const channel of old.keys()) this.#dirty.delete(channel);
    const isRead = await this.#attempt({
      parts: sharesOf(part, this.#limits.requestsAtOnce),
      ...{ range: around, points, isWhole: true },
      take: (channel, series) => {
        const before = this.#held.get(channel);
        const isOld = old.has(channel) || this.#dirty.has(channel);
        if (before !== undefined && !isOld) this.#wide.keep(channel, before);
        this.#held.set(channel, { series, range: around, density: densityOf(wanted) });
      },
    });
    if (isRead) return this.#plan(0);
    // What was read before may fit again, if the window has gone back: it lacks these changes still.
    for (const [channel, span] of old) this.#dirty.set(channel, united(this.#dirty.get(channel), span));
  }

  async #readChanged(wanted: Viewed): Promise<void> {
    this.#nextLiveMs = performance.now() + this.#limits.liveMsMin;
    const { changed, stretch, newestMs } = this.#takeDirty(wanted);
    if (stretch === undefined) return;
    // New points may lie beyond the window, which follows them in the next frame.
    const untilMs = Math.max(newestMs, Math.min(stretch.toMs, wanted.range.toMs));
    const points = Math.max(8, Math.ceil((untilMs - stretch.fromMs) * densityOf(wanted)) + 2);
    for (let rest = changed; rest.length > 0; ) {
      const part = firstPart(rest, points, this.#limits);
      const isRead = await this.#attempt({
        parts: [part],
        ...{ range: stretch, points, isWhole: false },
        take: (channel, series) => this.#put(channel, stretch, series),
      });
      if (!isRead) {
        for (const channel of rest) this.#dirty.set(channel, united(this.#dirty.get(channel), stretch));
        return;
      }
      rest = rest.slice(part.length);
    }
    this.#plan(0);
  }

  /**
   * Empties the list of changes. @returns the channels on the screen that have changed, one range in whole ms that covers
   * all their changes, and the newest changed time
   */
  #takeDirty({ channels }: Viewed): { changed: string[]; stretch: Range | undefined; newestMs: number } {
    const onScreen = new Set(channels);
    const changed: string[] = [];
    let stretch: Range | undefined;
    let newestMs = Number.NEGATIVE_INFINITY;
    for (const [channel, span] of this.#dirty) {
      const here = this.#held.get(channel);
      const own = here === undefined ? undefined : rangeToRead(here.series, span, here.range);
      if (!onScreen.has(channel)) {
        // It is read as a whole when it is on the screen again.
        this.#held.delete(channel);
      } else if (own !== undefined) {
        changed.push(channel);
        stretch = united(stretch, own);
        newestMs = Math.max(newestMs, span.toMs);
      }
    }
    this.#dirty.clear();
    const whole = stretch && { fromMs: Math.floor(stretch.fromMs), toMs: Math.ceil(stretch.toMs) };
    return { changed, stretch: whole, newestMs };
  }

  #put(channel: string, stretch: Range, read: Series): void {
    const here = this.#held.get(channel);
    if (here === undefined) return;
    const series = withRange(here.series, stretch, read);
    // While the window follows, points that have left it are dropped. The range is cut too, so that they are read again
    // when somebody scrolls back.
    const isFollowing = this.#wanted?.isFollowing === true;
    const fromMs = isFollowing ? Math.max((this.#wanted as Viewed).range.fromMs, here.range.fromMs) : here.range.fromMs;
    this.#held.set(channel, {
      ...here,
      series: trimmedBefore(series, fromMs),
      range: { ...here.range, fromMs },
    });
  }

  /**
   * Reads the parts concurrently; each is drawn as soon as it has come.
   * @returns false when a read was aborted or failed; the next step is planned then
   */
  async #attempt({ parts, range, points, isWhole, take }: Attempt): Promise<boolean> {
    const abort = new AbortController();
    this.#underWay = { abort, isWhole, range };
    const failures: unknown[] = [];
    const readPart = async (part: readonly string[]) => {
      const answer = await this.#options.read(part, range, points, abort.signal);
      if (this.#isClosed || abort.signal.aborted) return;
      for (const channel of part) take(channel, answer.get(channel) ?? noSeries);
      this.#options.onRead();
    };
    await Promise.all(parts.map((part) => readPart(part).catch((error) => failures.push(error))));
    this.#underWay = undefined;
    if (this.#isClosed) return false;
    if (abort.signal.aborted) {
      this.#plan(0);
      return false;
    }
    if (failures.length > 0) {
      this.#afterFailure(failureOf(failures[0]));
      return false;
    }
    this.#waitMs = this.#limits.retryMsMin;
    this.#options.onFailure(undefined);
    return true;
  }

  /** Retries when the server is away or overloaded. */
  #afterFailure(failure: ApiFailure): void {
    this.#options.onFailure(failure);
    if (!failure.isPassing) return;
    this.#plan(this.#waitMs);
    this.#waitMs = Math.min(this.#waitMs * 2, this.#limits.retryMsMax);
  }
}

const failureOf = (error: unknown) => (error instanceof ApiFailure ? error : new ApiFailure(0, String(error)));
