/*
 * Groups what arrives at the same time into one flush: the SDK sends a small request for every chunk of every channel,
 * and a commit costs the same for one chunk and for a hundred.
 *
 * What it guarantees:
 * - N in, N out: every submitted item is settled once, with its own result or its own error, after its flush is done, and
 *   in any case in time.
 * - Items that write to one channel are flushed one after another, in the order in which they came; nothing waits for more
 *   to come.
 * - One flush runs at a time, so that as many items as possible share what a flush costs by itself. Only one that takes
 *   long, as for a large body, lets others run beside it, of other channels.
 * - The same address with the same content in one flush is written once and answers all; with other content it waits
 *   for the next flush, and so does all that came after it for that channel.
 * - Organizations share a flush (queue.ts).
 * - What a flush could not settle goes back to its place and is tried again: while the database is away, nothing else runs;
 *   what needs a lock that somebody holds goes in flushes of its own, beside the others.
 * - Everything is bounded: rows and bytes of a flush, flushes at a time, rows and bytes in the queue, time in the queue,
 *   time until an item is settled.
 */
import { type Batch, type BatchItem, type Entry, FairQueue, type QueueLimits } from './queue.ts';

export type { BatchItem, BatchRow } from './queue.ts';

export interface BatchLimits extends QueueLimits {
  flushesMax: number;
  slowFlushMs: number;
  waitMsMax: number;
  ingestMsMax: number;
  heldRetryMs: number;
  heldRetryMsMax: number;
}

/** What a flush says of an item that it could not settle: it is to be tried again. */
export class TryAgain {
  readonly why: 'away' | 'held';
  readonly cause: Error;
  /** The item may have been stored, or may still be. */
  readonly isInDoubt: boolean;

  constructor(why: 'away' | 'held', cause: Error, isInDoubt = false) {
    this.why = why;
    this.cause = cause;
    this.isInDoubt = isInDoubt;
  }
}

export interface BatcherOptions<Item extends BatchItem, Result> {
  /** Settles some items, or not yet: one outcome for each, in order. What it throws is the error of all of them. */
  flush(items: Item[]): Promise<(Result | Error | TryAgain)[]>;
  limits: BatchLimits;
  /** The result of an item that brought the same as another one of its flush, by that one's result. */
  repeat(result: Result): Result;
  /** Milliseconds from any origin. */
  now(): number;
  /** Why the database is away, in words, for whoever has waited for it in vain. */
  explain?(cause: Error): string | undefined;
  /** Resolves when a flush may be tried again after so many, one after another, that found the database away. */
  untilBack(cause: Error, tries: number): Promise<void>;
  /** The error of an item that the queue has no room for, or that has waited too long. */
  overload(reason: string): Error;
  /** The error of an item whose time is over while it may be written yet. */
  inDoubt(reason: string): Error;
}

const awayAtTheEnd = 'The database is away and the server is stopping';

/** A flush that runs. */
interface Flight<Entry> {
  entries: readonly Entry[];
  /** Filled only when another one wants to run beside it. */
  channels: Set<string> | undefined;
  startedAt: number;
  isOfHeld: boolean;
}

/** A channel with a lock that somebody else holds: when it is tried again, and how often it has been tried in vain. */
interface Hold {
  retryAt: number;
  tries: number;
}

export class Batcher<Item extends BatchItem, Result> {
  readonly #options: BatcherOptions<Item, Result>;
  readonly #queue: FairQueue<Item, Result>;
  readonly #flights = new Set<Flight<Entry<Item, Result>>>();
  readonly #holds = new Map<string, Hold>();
  #isWoken = false;
  /** Why the database was away at the last flush, unless it is back. */
  #away: Error | undefined;
  #awayTries = 0;
  /** Runs from the first item until nothing is left. */
  #watch: NodeJS.Timeout | undefined;
  #closed: { whenIdle: () => void } | undefined;

  constructor(options: BatcherOptions<Item, Result>) {
    this.#options = options;
    this.#queue = new FairQueue(options.limits);
  }

  submit(item: Item): Promise<Result> {
    const { overload } = this.#options;
    const reason = this.#closed && this.#away ? awayAtTheEnd : this.#queue.fullness(item);
    if (reason !== undefined) return Promise.reject(overload(reason));
    return new Promise((resolve, reject) => {
      this.#queue.push(item, resolve, reject);
      this.#watch ??= setInterval(() => this.#lookAround(), this.#options.limits.slowFlushMs);
      if (!this.#isWoken && this.#mayBegin()) this.#wake();
    });
  }

  /** Rows and bytes that wait now or are in a flush. */
  queued(): { rows: number; bytes: number } {
    return this.#queue.load();
  }

  /**
   * From now on nothing waits for a database that is away: it is refused at once. Resolves when all that was taken is
   * settled. What comes later, of requests that had begun by now, is taken all the same.
   */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#closed = { whenIdle: resolve };
      if (this.#away) this.#refuseAll();
      this.#endIfIdle();
    });
  }

  /** Begins after one turn of the event loop, so that all requests that have been read by now share the flush. */
  #wake(): void {
    this.#isWoken = true;
    setImmediate(() => {
      this.#isWoken = false;
      this.#begin();
    });
  }

  #mayBegin(): boolean {
    const { limits, now } = this.#options;
    if (this.#away || this.#flights.size >= limits.flushesMax) return false;
    for (const { startedAt, isOfHeld } of this.#flights) {
      if (!isOfHeld && now() - startedAt < limits.slowFlushMs) return false;
    }
    return true;
  }

  #begin(): void {
    if (this.#mayBegin()) {
      const isHeld = ({ rows }: Item) => this.#holds.size > 0 && rows.some(({ channel }) => this.#holds.has(channel));
      const mayGo = (item: Item) => !this.#isLate(item) && !this.#isBusy(item);
      this.#fly(
        this.#queue.take((item) => mayGo(item) && !isHeld(item)),
        false,
      );
      this.#beginHeld((item) => mayGo(item) && isHeld(item));
    }
    this.#endIfIdle();
  }

  /** One flush at a time tries what needs a lock that was held, so that it keeps no other one waiting. */
  #beginHeld(mayGo: (item: Item) => boolean): void {
    const { limits, now } = this.#options;
    if (this.#holds.size === 0 || this.#flights.size >= limits.flushesMax) return;
    for (const { isOfHeld } of this.#flights) if (isOfHeld) return;
    const time = now();
    let isDue = false;
    for (const { retryAt } of this.#holds.values()) isDue ||= retryAt <= time;
    if (!isDue) return;
    const mayRetry = ({ rows }: Item) => rows.every(({ channel }) => (this.#holds.get(channel)?.retryAt ?? 0) <= time);
    this.#fly(
      this.#queue.take((item) => mayGo(item) && mayRetry(item)),
      true,
    );
  }

  #isBusy({ rows }: Item): boolean {
    for (const flight of this.#flights) {
      flight.channels ??= new Set(flight.entries.flatMap(({ item }) => item.rows.map(({ channel }) => channel)));
      for (const { channel } of rows) if (flight.channels.has(channel)) return true;
    }
    return false;
  }

  #fly(batch: Batch<Item, Result>, isOfHeld: boolean): void {
    if (batch.leaders.length === 0) return;
    const entries = batch.leaders.concat(...batch.followers);
    const flight = { entries, channels: undefined, startedAt: this.#options.now(), isOfHeld };
    this.#flights.add(flight);
    void this.#flush(batch, flight.startedAt).then(() => {
      this.#flights.delete(flight);
      if (!this.#isWoken) this.#wake();
    });
  }

  async #flush({ leaders, followers }: Batch<Item, Result>, startedAt: number): Promise<void> {
    const { flush } = this.#options;
    const outcomes = await flush(leaders.map((entry) => entry.item)).catch((error: Error) => error);
    const again: { entry: Entry<Item, Result>; outcome: TryAgain }[] = [];
    leaders.forEach((leader, i) => {
      const outcome = outcomes instanceof Error ? outcomes : (outcomes[i] as Result | Error | TryAgain);
      for (const entry of [leader, ...(followers[i] ?? [])]) {
        if (outcome instanceof TryAgain) again.push({ entry, outcome });
        else this.#settle(entry, outcome, entry === leader);
      }
    });
    if (again.every(({ outcome }) => outcome.why !== 'away')) this.#awayTries = 0;
    if (again.length > 0) this.#tryAgain(again, startedAt);
  }

  #settle(entry: Entry<Item, Result>, outcome: Result | Error, isLeader: boolean): void {
    if (outcome instanceof Error) entry.reject(outcome);
    else entry.resolve(isLeader ? outcome : this.#options.repeat(outcome));
    this.#leave(entry);
  }

  #tryAgain(unsettled: { entry: Entry<Item, Result>; outcome: TryAgain }[], startedAt: number): void {
    for (const { entry, outcome } of unsettled) {
      if (outcome.isInDoubt) entry.item.inDoubtSince ??= startedAt;
    }
    this.#hold(unsettled.filter(({ outcome }) => outcome.why === 'held').map(({ entry }) => entry.item));
    const entries = unsettled.map(({ entry }) => entry);
    for (const entry of entries) if (entry.isAnswered) this.#leave(entry);
    this.#queue.putBack(entries.filter((entry) => !entry.isAnswered));
    const away = unsettled.find(({ outcome }) => outcome.why === 'away');
    if (away !== undefined) this.#waitUntilBack(away.outcome.cause);
  }

  #hold(items: readonly Item[]): void {
    const { limits, now } = this.#options;
    for (const channel of new Set(items.flatMap(({ rows }) => rows.map(({ channel }) => channel)))) {
      const tries = this.#holds.get(channel)?.tries ?? 0;
      const pauseMs = Math.min(limits.heldRetryMs * 2 ** tries, limits.heldRetryMsMax);
      this.#holds.set(channel, { retryAt: now() + pauseMs, tries: tries + 1 });
    }
  }

  #waitUntilBack(cause: Error): void {
    if (this.#closed) this.#refuseAll();
    if (this.#away !== undefined) return;
    this.#away = cause;
    void this.#options.untilBack(cause, this.#awayTries++).then(() => {
      this.#away = undefined;
      if (!this.#isWoken) this.#wake();
    });
  }

  /** A flush hangs with the database; what waits behind it, and what is in it, is answered in time all the same. */
  #lookAround(): void {
    this.#dropLate();
    for (const { entries } of this.#flights) for (const entry of entries) this.#giveUpLate(entry);
    if (!this.#isWoken) this.#begin();
  }

  #isLate({ arrivedAt }: Item): boolean {
    const { limits, now } = this.#options;
    return now() - arrivedAt > limits.waitMsMax;
  }

  #dropLate(): void {
    const { limits, explain } = this.#options;
    const why = this.#away && explain?.(this.#away);
    const waited = `The request has waited for more than ${limits.waitMsMax} ms`;
    const reason = why === undefined ? waited : `${why}; the${waited.slice(3)}`;
    this.#queue.remove((entry) => this.#isLate(entry.item) && this.#refuse(entry, reason));
  }

  #refuseAll(): void {
    this.#queue.remove((entry) => this.#refuse(entry, awayAtTheEnd));
  }

  /** @returns true: it leaves the queue */
  #refuse(entry: Entry<Item, Result>, reason: string): true {
    const { overload, inDoubt } = this.#options;
    entry.reject(entry.item.inDoubtSince === undefined ? overload(reason) : inDoubt(reason));
    this.#leave(entry);
    return true;
  }

  /** Settles an item whose flush goes on: what comes of that is told to nobody, and its room is freed then. */
  #giveUpLate(entry: Entry<Item, Result>): void {
    const { limits, now, inDoubt } = this.#options;
    if (entry.isAnswered || now() - entry.item.arrivedAt <= limits.ingestMsMax) return;
    entry.isAnswered = true;
    entry.reject(inDoubt(`The request was not settled within ${limits.ingestMsMax} ms`));
  }

  #leave(entry: Entry<Item, Result>): void {
    this.#queue.leave(entry);
    if (this.#holds.size > 0) for (const { channel } of entry.item.rows) this.#holds.delete(channel);
  }

  #endIfIdle(): void {
    if (this.#flights.size > 0 || !this.#queue.isEmpty) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
    this.#closed?.whenIdle();
  }
}
