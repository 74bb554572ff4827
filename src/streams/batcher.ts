/*
 * An item is one request: the chunks of all its channels. A slice is one of them; bounds count slices as rows.
 *
 * Groups what arrives at the same time into one flush: the SDK sends a small request for every chunk of every channel,
 * and a commit costs the same for one chunk and for a hundred.
 *
 * What it guarantees:
 * - N in, N out: every submitted item is settled exactly once, with its own result or its own error. That happens when
 *   its flush is done, or at its deadline if the flush takes longer.
 * - Items of one channel are flushed one after another, in the order in which they came. No flush waits for more items
 *   to come.
 * - Usually one flush runs at a time, so that as many items as possible share its fixed cost. Once a flush has taken
 *   `slowFlushMs`, as one of a large body may, other flushes run beside it, of other channels.
 * - Items of one flush with the same address and the same content are written once, and all get an answer. An item with
 *   other content for that address waits for the next flush, and so do all later items of its channel.
 * - Organizations take turns in a flush (queue.ts).
 * - An item that a flush could not settle goes back to its place in the queue and is retried. While the database is
 *   away, no flush starts. Items that need a lock which another session holds are retried in flushes of their own,
 *   beside the others.
 * - Everything is bounded: rows and bytes of a flush, flushes at a time, rows and bytes in the queue, time in the
 *   queue, time until an item is settled.
 */
import { TryAgain } from './outcomes.ts';
import { type Batch, type BatchItem, type Entry, FairQueue, type QueueLimits } from './queue.ts';

export type { BatchItem, BatchSlice } from './queue.ts';

export interface BatchLimits extends QueueLimits {
  flushesMax: number;
  slowFlushMs: number;
  waitMsMax: number;
  ingestMsMax: number;
  heldRetryMs: number;
  heldRetryMsMax: number;
}

export interface BatcherOptions<Item extends BatchItem, Result> {
  /** Writes items: one outcome for each, in order; TryAgain for those to retry. If it throws, that is the error of all items. */
  flush(items: Item[]): Promise<(Result | Error | TryAgain)[]>;
  limits: BatchLimits;
  /** The result of an item that repeats another one of its flush, made from the result of that one. */
  repeat(result: Result): Result;
  /** Milliseconds from any origin. */
  now(): number;
  /** Why the database is away, in words. It goes into the error of an item that has waited too long. */
  explain?(cause: Error): string | undefined;
  /** Resolves when the next flush may be tried. @param tries earlier flushes in a row that found the database away */
  untilBack(cause: Error, tries: number): Promise<void>;
  /** The error of an item that the queue has no room for, or that has waited too long. */
  overload(reason: string): Error;
  /** The error of an item whose deadline has passed, and which may have been stored or may still be. */
  inDoubt(reason: string): Error;
}

const awayAtTheEnd = 'The database is away and the server is stopping';

/** A flush that is running. */
interface Flight<Entry> {
  entries: readonly Entry[];
  /** The channels of the entries, computed only when another flush wants to run beside this one. */
  channels: Set<string> | undefined;
  startedAt: number;
  isOfHeld: boolean;
}

/** A channel that another session has locked: when to retry it, and how many attempts have failed. */
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
  /** Why the database is away; undefined while it is there, as far as is known. */
  #away: Error | undefined;
  #awayTries = 0;
  /** The timer of `#checkDeadlines`; it runs while there are items. */
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
      this.#watch ??= setInterval(() => this.#checkDeadlines(), this.#options.limits.slowFlushMs);
      if (!this.#isWoken && this.#mayBegin()) this.#wake();
    });
  }

  /** Rows and bytes that wait now or are in a flush. */
  queued(): { rows: number; bytes: number } {
    return this.#queue.load();
  }

  /**
   * From now on an item does not wait for a database that is away: it is refused at once. Resolves when all accepted
   * items are settled. Items of requests that had already begun are still accepted.
   */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#closed = { whenIdle: resolve };
      if (this.#away) this.#refuseAll();
      this.#endIfIdle();
    });
  }

  /** Starts a flush in the next turn of the event loop, so that it takes all requests that have been read by then. */
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
      const isHeld = ({ slices }: Item) =>
        this.#holds.size > 0 && slices.some(({ channel }) => this.#holds.has(channel));
      const mayGo = (item: Item) => !this.#isLate(item) && !this.#isBusy(item);
      this.#start(
        this.#queue.take((item) => mayGo(item) && !isHeld(item)),
        false,
      );
      this.#beginHeld((item) => mayGo(item) && isHeld(item));
    }
    this.#endIfIdle();
  }

  /** Retries items whose lock was held. Only one flush at a time does so, and the other flushes do not wait for it. */
  #beginHeld(mayGo: (item: Item) => boolean): void {
    const { limits, now } = this.#options;
    if (this.#holds.size === 0 || this.#flights.size >= limits.flushesMax) return;
    for (const { isOfHeld } of this.#flights) if (isOfHeld) return;
    const time = now();
    let isDue = false;
    for (const { retryAt } of this.#holds.values()) isDue ||= retryAt <= time;
    if (!isDue) return;
    const mayRetry = ({ slices }: Item) =>
      slices.every(({ channel }) => (this.#holds.get(channel)?.retryAt ?? 0) <= time);
    this.#start(
      this.#queue.take((item) => mayGo(item) && mayRetry(item)),
      true,
    );
  }

  #isBusy({ slices }: Item): boolean {
    for (const flight of this.#flights) {
      flight.channels ??= new Set(flight.entries.flatMap(({ item }) => item.slices.map(({ channel }) => channel)));
      for (const { channel } of slices) if (flight.channels.has(channel)) return true;
    }
    return false;
  }

  #start(batch: Batch<Item, Result>, isOfHeld: boolean): void {
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
    for (const channel of new Set(items.flatMap(({ slices }) => slices.map(({ channel }) => channel)))) {
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

  /** Runs every `slowFlushMs`: answers late items, also when a flush hangs, both those in it and those behind it. */
  #checkDeadlines(): void {
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

  /** Answers an item at its deadline while its flush goes on. The end of that flush only frees its room. */
  #giveUpLate(entry: Entry<Item, Result>): void {
    const { limits, now, inDoubt } = this.#options;
    if (entry.isAnswered || now() - entry.item.arrivedAt <= limits.ingestMsMax) return;
    entry.isAnswered = true;
    entry.reject(inDoubt(`The request was not settled within ${limits.ingestMsMax} ms`));
  }

  #leave(entry: Entry<Item, Result>): void {
    this.#queue.leave(entry);
    if (this.#holds.size > 0) for (const { channel } of entry.item.slices) this.#holds.delete(channel);
  }

  #endIfIdle(): void {
    if (this.#flights.size > 0 || !this.#queue.isEmpty) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
    this.#closed?.whenIdle();
  }
}
