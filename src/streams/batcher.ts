/*
 * Groups what arrives at the same time into one flush: the SDK sends a small request for every chunk of every channel,
 * and a commit costs the same for one chunk and for a hundred.
 *
 * What it guarantees:
 * - N in, N out: every submitted item is settled once, with its own result or its own error, after its flush is done.
 * - Items of one lane key are flushed one after another, in the order in which they came; nothing waits for more to come.
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
  /** Items of one key never flush side by side. */
  laneKey: string;
  rows: readonly BatchRow[];
  bytes: number;
}

export interface BatchLimits {
  flushRowsMax: number;
  flushBytesMax: number;
  flushesMax: number;
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

export interface Batcher<Item extends BatchItem, Result> {
  submit(item: Item): Promise<Result>;
  /** Rows and bytes that wait now. */
  queued(): { rows: number; bytes: number };
  /** Takes nothing new and resolves when all that was taken is settled. */
  close(): Promise<void>;
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

/** How often within the longest wait a lane looks for what has waited too long. */
const sweepsPerWait = 25;

export function createBatcher<Item extends BatchItem, Result>(
  options: BatcherOptions<Item, Result>,
): Batcher<Item, Result> {
  const { limits, now, overload } = options;
  type QueueEntry = Entry<Item, Result>;
  const lanes = Array.from({ length: limits.flushesMax }, () => ({
    queue: [] as QueueEntry[],
    flushing: [] as QueueEntry[],
    running: false,
  }));
  const queued = { rows: 0, bytes: 0 };
  const running = new Set<Promise<void>>();
  let closed = false;

  function submit(item: Item): Promise<Result> {
    if (closed) return Promise.reject(overload('The server is stopping'));
    const reason = fullQueue(queued, item, limits);
    if (reason !== undefined) return Promise.reject(overload(reason));
    queued.rows += item.rows.length;
    queued.bytes += item.bytes;
    return new Promise((resolve, reject) => {
      const lane = lanes[laneOf(item.laneKey, lanes.length)] as (typeof lanes)[number];
      lane.queue.push({ item, queuedAt: now(), resolve, reject });
      if (lane.running) return;
      lane.running = true;
      const run = drain(lane).finally(() => running.delete(run));
      running.add(run);
    });
  }

  async function drain(lane: (typeof lanes)[number]): Promise<void> {
    // One turn of the event loop, so that all requests that have been read by now share the flush.
    await new Promise(setImmediate);
    // A flush hangs with the database; what waits behind it, and what is in it, is answered in time all the same.
    const sweep = setInterval(() => {
      lane.queue = lane.queue.filter((entry) => !dropExpired(entry));
      for (const entry of lane.flushing) giveUpLate(entry);
    }, limits.queueMsMax / sweepsPerWait);
    while (lane.queue.length > 0) {
      const { batch, rest } = takeBatch(lane.queue, limits, (entry) => dropExpired(entry));
      lane.queue = rest;
      lane.flushing = batch.leaders.concat(...batch.followers);
      if (batch.leaders.length > 0) await flush(batch);
    }
    lane.flushing = [];
    clearInterval(sweep);
    lane.running = false;
  }

  function dropExpired(entry: QueueEntry): boolean {
    if (now() - entry.queuedAt <= limits.queueMsMax) return false;
    leave(entry);
    entry.reject(overload(`The request has waited for more than ${limits.queueMsMax} ms`));
    return true;
  }

  /** Settles an item whose flush goes on: what comes of that is told to nobody, and its room is freed then. */
  function giveUpLate({ queuedAt, reject }: QueueEntry): void {
    if (now() - queuedAt > limits.ingestMsMax) {
      reject(options.inDoubt(`The request was not settled within ${limits.ingestMsMax} ms`));
    }
  }

  async function flush({ leaders, followers }: Batch<Item, Result>): Promise<void> {
    const results = await options.flush(leaders.map((entry) => entry.item)).catch((error: Error) => error);
    leaders.forEach((leader, i) => {
      const result = results instanceof Error ? results : (results[i] as Result | Error);
      for (const entry of [leader, ...(followers[i] ?? [])]) {
        leave(entry);
        if (result instanceof Error) entry.reject(result);
        else entry.resolve(entry === leader ? result : options.repeat(result));
      }
    });
  }

  function leave({ item }: QueueEntry): void {
    queued.rows -= item.rows.length;
    queued.bytes -= item.bytes;
  }

  return {
    submit,
    queued: () => ({ ...queued }),
    async close() {
      closed = true;
      await Promise.all(running);
    },
  };
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
  drop: (entry: Entry<Item, Result>) => boolean,
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
    const place = fits && !item.rows.some(({ address }) => held.has(address)) ? placeOf(item, taken) : 'wait';
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

/** FNV-1a: spreads keys evenly and always the same way. */
function laneOf(key: string, laneCount: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % laneCount;
}
