/*
 * Groups what arrives at the same time into one flush: the SDK sends a small request for every chunk of every channel,
 * and a commit costs the same for one chunk and for a hundred.
 *
 * What it guarantees:
 * - N in, N out: every submitted item is settled once, with its own result or its own error, after its flush is done.
 * - Items of one stream are flushed one after another, in the order in which they came; nothing waits for more to come.
 * - One flush runs at a time, so that as many items as possible share what a flush costs by itself. Only one that takes
 *   long, as for a large body or a channel that somebody holds, lets others run beside it, of other streams.
 * - The same address with the same content in one flush is written once and answers all; with other content it waits
 *   for the next flush, and so does all that came after it for that address.
 * - Everything is bounded: rows and bytes of a flush, flushes at a time, rows and bytes in the queue, time in the queue,
 *   time until an item is settled.
 */

/** One slice that an item writes: where, and a digest of what. */
export interface BatchRow {
  address: string;
  content: string;
}

export interface BatchItem {
  /** Its stream: items of one never flush side by side. */
  dataId: string;
  rows: readonly BatchRow[];
  bytes: number;
}

export interface BatchLimits {
  flushRowsMax: number;
  flushBytesMax: number;
  flushesMax: number;
  slowFlushMs: number;
  queueRowsMax: number;
  queueBytesMax: number;
  queueMsMax: number;
  ingestMsMax: number;
}

export interface BatcherOptions<Item extends BatchItem, Result> {
  /** Settles some items: one result or one error for each, in order. What it throws is the error of all of them. */
  flush(items: Item[]): Promise<(Result | Error)[]>;
  limits: BatchLimits;
  /** The result of an item that brought the same as another one of its flush, by that one's result. */
  repeat(result: Result): Result;
  /** Milliseconds from any origin. */
  now(): number;
  /** The error of an item that the queue has no room for, or that has waited too long. */
  overload(reason: string): Error;
  /** The error of an item whose flush takes too long: it may be written yet. */
  inDoubt(reason: string): Error;
}

interface Entry<Item, Result> {
  item: Item;
  queuedAt: number;
  resolve(result: Result): void;
  reject(error: Error): void;
}

/** What a flush takes from a queue: leaders are written, and each answers its followers too. */
interface Batch<Item, Result> {
  leaders: Entry<Item, Result>[];
  followers: Entry<Item, Result>[][];
}

/** A flush that runs. */
interface Flight<Entry> {
  entries: readonly Entry[];
  streams: Set<string>;
  startedAt: number;
}

export class Batcher<Item extends BatchItem, Result> {
  readonly #options: BatcherOptions<Item, Result>;
  #queue: Entry<Item, Result>[] = [];
  readonly #flights = new Set<Flight<Entry<Item, Result>>>();
  readonly #queued = { rows: 0, bytes: 0 };
  #isWoken = false;
  /** Runs from the first item until nothing is left. */
  #watch: NodeJS.Timeout | undefined;
  #closed: { whenIdle: () => void } | undefined;

  constructor(options: BatcherOptions<Item, Result>) {
    this.#options = options;
  }

  submit(item: Item): Promise<Result> {
    const { limits, now, overload } = this.#options;
    if (this.#closed) return Promise.reject(overload('The server is stopping'));
    const reason = fullQueue(this.#queued, item, limits);
    if (reason !== undefined) return Promise.reject(overload(reason));
    this.#queued.rows += item.rows.length;
    this.#queued.bytes += item.bytes;
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, queuedAt: now(), resolve, reject });
      if (!this.#isWoken && this.#mayBegin()) this.#wake();
    });
  }

  /** Rows and bytes that wait now. */
  queued(): { rows: number; bytes: number } {
    return { ...this.#queued };
  }

  /** Takes nothing new and resolves when all that was taken is settled. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#closed = { whenIdle: resolve };
      if (this.#watch === undefined) resolve();
    });
  }

  /** Begins after one turn of the event loop, so that all requests that have been read by now share the flush. */
  #wake(): void {
    this.#isWoken = true;
    this.#watch ??= setInterval(() => this.#lookAround(), this.#options.limits.slowFlushMs);
    setImmediate(() => {
      this.#isWoken = false;
      this.#begin();
    });
  }

  #mayBegin(): boolean {
    const { limits, now } = this.#options;
    if (this.#flights.size >= limits.flushesMax) return false;
    for (const { startedAt } of this.#flights) if (now() - startedAt < limits.slowFlushMs) return false;
    return true;
  }

  #begin(): void {
    if (!this.#mayBegin()) return;
    const { limits, now } = this.#options;
    const running = [...this.#flights];
    const isBusy = (dataId: string) => running.some(({ streams }) => streams.has(dataId));
    const drop = (entry: Entry<Item, Result>) => this.#dropExpired(entry);
    const { batch, rest } = takeBatch(this.#queue, limits, { drop, isBusy });
    this.#queue = rest;
    if (batch.leaders.length > 0) {
      const streams = new Set(batch.leaders.map(({ item }) => item.dataId));
      const flight = { entries: batch.leaders.concat(...batch.followers), streams, startedAt: now() };
      this.#flights.add(flight);
      void this.#flush(batch).then(() => {
        this.#flights.delete(flight);
        if (!this.#isWoken) this.#wake();
      });
    } else if (this.#flights.size === 0) {
      clearInterval(this.#watch);
      this.#watch = undefined;
      this.#closed?.whenIdle();
    }
  }

  /** A flush hangs with the database; what waits behind it, and what is in it, is answered in time all the same. */
  #lookAround(): void {
    this.#queue = this.#queue.filter((entry) => !this.#dropExpired(entry));
    for (const { entries } of this.#flights) for (const entry of entries) this.#giveUpLate(entry);
    if (!this.#isWoken) this.#begin();
  }

  #dropExpired(entry: Entry<Item, Result>): boolean {
    const { limits, now, overload } = this.#options;
    if (now() - entry.queuedAt <= limits.queueMsMax) return false;
    this.#leave(entry);
    entry.reject(overload(`The request has waited for more than ${limits.queueMsMax} ms`));
    return true;
  }

  /** Settles an item whose flush goes on: what comes of that is told to nobody, and its room is freed then. */
  #giveUpLate({ queuedAt, reject }: Entry<Item, Result>): void {
    const { limits, now, inDoubt } = this.#options;
    if (now() - queuedAt > limits.ingestMsMax) {
      reject(inDoubt(`The request was not settled within ${limits.ingestMsMax} ms`));
    }
  }

  async #flush({ leaders, followers }: Batch<Item, Result>): Promise<void> {
    const { flush, repeat } = this.#options;
    const results = await flush(leaders.map((entry) => entry.item)).catch((error: Error) => error);
    leaders.forEach((leader, i) => {
      const result = results instanceof Error ? results : (results[i] as Result | Error);
      for (const entry of [leader, ...(followers[i] ?? [])]) {
        this.#leave(entry);
        if (result instanceof Error) entry.reject(result);
        else entry.resolve(entry === leader ? result : repeat(result));
      }
    });
  }

  #leave({ item }: Entry<Item, Result>): void {
    this.#queued.rows -= item.rows.length;
    this.#queued.bytes -= item.bytes;
  }
}

function fullQueue(queued: { rows: number; bytes: number }, item: BatchItem, limits: BatchLimits): string | undefined {
  // An empty queue takes anything that passed the other limits, so that no item is too large for ever.
  if (queued.rows === 0) return undefined;
  if (queued.rows + item.rows.length > limits.queueRowsMax) return `${limits.queueRowsMax} chunks are waiting`;
  if (queued.bytes + item.bytes > limits.queueBytesMax) return `${limits.queueBytesMax} bytes are waiting`;
  return undefined;
}

/** Splits a queue into what the next flush takes, in order, and the rest. */
function takeBatch<Item extends BatchItem, Result>(
  queue: Entry<Item, Result>[],
  limits: BatchLimits,
  { drop, isBusy }: { drop: (entry: Entry<Item, Result>) => boolean; isBusy: (dataId: string) => boolean },
): { batch: Batch<Item, Result>; rest: Entry<Item, Result>[] } {
  const batch: Batch<Item, Result> = { leaders: [], followers: [] };
  const taken = new Map<string, { content: string; leader: number }>();
  const held = new Set<string>();
  const rest: Entry<Item, Result>[] = [];
  let rows = 0;
  let bytes = 0;
  for (const [i, entry] of queue.entries()) {
    if (rows >= limits.flushRowsMax || bytes >= limits.flushBytesMax) {
      // The rest keeps its order, so nothing of it can overtake what waits for the same address.
      return { batch, rest: rest.concat(queue.slice(i)) };
    }
    if (drop(entry)) continue;
    const { item } = entry;
    const fits =
      rows === 0 || (rows + item.rows.length <= limits.flushRowsMax && bytes + item.bytes <= limits.flushBytesMax);
    const mayGo = fits && !isBusy(item.dataId) && !item.rows.some(({ address }) => held.has(address));
    const place = mayGo ? placeOf(item, taken) : 'wait';
    if (place === 'wait') {
      for (const { address } of item.rows) held.add(address);
      rest.push(entry);
    } else if (place === 'lead') {
      for (const { address, content } of item.rows) taken.set(address, { content, leader: batch.leaders.length });
      batch.leaders.push(entry);
      batch.followers.push([]);
      rows += item.rows.length;
      bytes += item.bytes;
    } else {
      batch.followers[place]?.push(entry);
    }
  }
  return { batch, rest };
}

/** Whether an item begins something new in a batch, repeats a leader (its number), or has to wait for the next one. */
function placeOf(item: BatchItem, taken: Map<string, { content: string; leader: number }>): 'lead' | 'wait' | number {
  const known = item.rows.map(({ address }) => taken.get(address));
  if (known.every((one) => one === undefined)) return 'lead';
  const leader = known[0]?.leader;
  const repeats = known.every((one, i) => one?.leader === leader && one?.content === item.rows[i]?.content);
  return leader !== undefined && repeats ? leader : 'wait';
}
