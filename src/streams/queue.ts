/*
 * The queue of items that wait for a flush: one line for each organization, in the order in which its items came. A
 * flush takes from all lines in turn, by rows and bytes, so that an organization waits for no more than a share of what
 * others have sent.
 */

/** One slice that an item writes: the chunk of one channel, by its address and a digest of its content. */
export interface BatchSlice {
  address: string;
  /** Rows of one channel are written in the order in which they came. */
  channel: string;
  content: string;
}

export interface BatchItem {
  organizationId: string;
  slices: readonly BatchSlice[];
  bytes: number;
  /** When its request came, in milliseconds of the batcher's clock. */
  arrivedAt: number;
  /** Set when its outcome is unknown: the time, on the same clock, since which it may have been stored. */
  inDoubtSince?: number;
}

export interface Entry<Item extends BatchItem, Result> {
  item: Item;
  /** Entries of an organization go in this order. */
  number: number;
  isAnswered: boolean;
  resolve(result: Result): void;
  reject(error: Error): void;
}

/** What a flush takes. Leaders are written; the followers of a leader repeat it, and get its answer. */
export interface Batch<Item extends BatchItem, Result> {
  leaders: Entry<Item, Result>[];
  followers: Entry<Item, Result>[][];
}

export interface QueueLimits {
  flushRowsMax: number;
  flushBytesMax: number;
  queueRowsMax: number;
  queueBytesMax: number;
  queueShareMax: number;
}

interface Load {
  rows: number;
  bytes: number;
}

export class FairQueue<Item extends BatchItem, Result> {
  readonly #limits: QueueLimits;
  /** In the order of their turns: the organization that a flush began with goes to the end. */
  #lines = new Map<string, Entry<Item, Result>[]>();
  /** What each organization has here or in a flush. */
  readonly #loads = new Map<string, Load>();
  readonly #total: Load = { rows: 0, bytes: 0 };
  #number = 0;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  get isEmpty(): boolean {
    return this.#lines.size === 0;
  }

  /** Rows and bytes that are here or in a flush. */
  load(): Load {
    return { ...this.#total };
  }

  /** Why there is no room for an item, in words; undefined where there is. */
  fullness({ organizationId, slices, bytes }: Item): string | undefined {
    const { queueRowsMax, queueBytesMax, queueShareMax } = this.#limits;
    // An empty queue takes anything that passed the other limits, so that no item is too large for ever.
    if (this.#total.rows === 0) return undefined;
    const own = this.#loads.get(organizationId) ?? { rows: 0, bytes: 0 };
    const isFull = (total: number, mine: number, more: number, max: number) =>
      total + more > max || (mine > 0 && mine + more > queueShareMax * (max - total));
    const why = (what: string, total: number, mine: number, max: number) =>
      `${total} ${what} are waiting, ${mine} of them of this organization (the most is ${max}, and for an organization ` +
      `${queueShareMax} times what is free)`;
    if (isFull(this.#total.rows, own.rows, slices.length, queueRowsMax)) {
      return why('chunks', this.#total.rows, own.rows, queueRowsMax);
    }
    if (isFull(this.#total.bytes, own.bytes, bytes, queueBytesMax)) {
      return why('bytes', this.#total.bytes, own.bytes, queueBytesMax);
    }
    return undefined;
  }

  /** Puts an item at the end of its line. It takes room until `leave`. */
  push(item: Item, resolve: (result: Result) => void, reject: (error: Error) => void): void {
    const { organizationId } = item;
    const load = this.#loads.get(organizationId) ?? { rows: 0, bytes: 0 };
    this.#loads.set(organizationId, load);
    for (const one of [load, this.#total]) {
      one.rows += item.slices.length;
      one.bytes += item.bytes;
    }
    const line = this.#lines.get(organizationId);
    const entry = { item, number: this.#number++, isAnswered: false, resolve, reject };
    if (line === undefined) this.#lines.set(organizationId, [entry]);
    else line.push(entry);
  }

  /** Puts entries that a flush has taken back to their places. */
  putBack(entries: readonly Entry<Item, Result>[]): void {
    const changed = new Map<string, Entry<Item, Result>[]>();
    for (const entry of entries) {
      const { organizationId } = entry.item;
      const line = changed.get(organizationId) ?? this.#lines.get(organizationId)?.slice() ?? [];
      line.push(entry);
      changed.set(organizationId, line);
    }
    for (const [organizationId, line] of changed) {
      this.#lines.set(
        organizationId,
        line.sort((one, other) => one.number - other.number),
      );
    }
  }

  /** Frees the room of an entry that has its outcome. */
  leave({ item }: Entry<Item, Result>): void {
    const load = this.#loads.get(item.organizationId) as Load;
    for (const one of [load, this.#total]) {
      one.rows -= item.slices.length;
      one.bytes -= item.bytes;
    }
    if (load.rows === 0) this.#loads.delete(item.organizationId);
  }

  /** Removes the entries for which `isOut` is true. */
  remove(isOut: (entry: Entry<Item, Result>) => boolean): void {
    for (const [organizationId, line] of this.#lines) {
      const rest = line.filter((entry) => !isOut(entry));
      if (rest.length === 0) this.#lines.delete(organizationId);
      else if (rest.length < line.length) this.#lines.set(organizationId, rest);
    }
  }

  /** Takes what the next flush may hold. Items that `mayGo` refuses stay, and so do later items of their channels. */
  take(mayGo: (item: Item) => boolean): Batch<Item, Result> {
    const draft = new Draft<Item, Result>(this.#limits, mayGo);
    const lines = [...this.#lines].map(([organizationId, entries]) => ({
      organizationId,
      entries,
      next: 0,
      share: 0,
      rest: [] as Entry<Item, Result>[],
    }));
    let open = lines;
    while (open.length > 0 && !draft.isFull) {
      const line = open.reduce((least, one) => (one.share < least.share ? one : least));
      const entry = line.entries[line.next] as Entry<Item, Result>;
      const verdict = draft.add(entry);
      if (verdict === 'no room') {
        // Later items of this organization must not overtake it.
        open = open.filter((one) => one !== line);
        continue;
      }
      line.next++;
      if (verdict === 'waits') line.rest.push(entry);
      else line.share += draft.shareOf(entry.item);
      if (line.next === line.entries.length) open = open.filter((one) => one !== line);
    }
    const [first] = lines.filter(({ share }) => share > 0);
    for (const { organizationId, entries, next, rest } of lines) {
      if (next === 0) continue;
      const left = rest.length === 0 ? entries.slice(next) : rest.concat(entries.slice(next));
      if (left.length === 0) this.#lines.delete(organizationId);
      else this.#lines.set(organizationId, left);
    }
    const left = first && this.#lines.get(first.organizationId);
    if (first !== undefined && left !== undefined && this.#lines.size > 1) {
      this.#lines.delete(first.organizationId);
      this.#lines.set(first.organizationId, left);
    }
    return draft.batch;
  }
}

/** A batch while it is being put together. */
class Draft<Item extends BatchItem, Result> {
  readonly batch: Batch<Item, Result> = { leaders: [], followers: [] };
  readonly #limits: QueueLimits;
  readonly #mayGo: (item: Item) => boolean;
  readonly #taken = new Map<string, { content: string; leader: number }>();
  /** Channels of an earlier item that has to wait: later items of these channels wait too. */
  readonly #behind = new Set<string>();
  #rows = 0;
  #bytes = 0;

  constructor(limits: QueueLimits, mayGo: (item: Item) => boolean) {
    this.#limits = limits;
    this.#mayGo = mayGo;
  }

  get isFull(): boolean {
    return this.#rows >= this.#limits.flushRowsMax || this.#bytes >= this.#limits.flushBytesMax;
  }

  /** How much of a flush an item takes. */
  shareOf({ slices, bytes }: Item): number {
    return slices.length / this.#limits.flushRowsMax + bytes / this.#limits.flushBytesMax;
  }

  add(entry: Entry<Item, Result>): 'goes' | 'waits' | 'no room' {
    const { item } = entry;
    const isBehind = this.#behind.size > 0 && item.slices.some(({ channel }) => this.#behind.has(channel));
    const role = isBehind || !this.#mayGo(item) ? 'wait' : roleOf(item, this.#taken);
    if (role === 'wait') {
      for (const { channel } of item.slices) this.#behind.add(channel);
      return 'waits';
    }
    if (role !== 'lead') {
      this.batch.followers[role]?.push(entry);
      return 'goes';
    }
    if (this.#rows > 0 && !this.#fits(item)) return 'no room';
    for (const { address, content } of item.slices) {
      this.#taken.set(address, { content, leader: this.batch.leaders.length });
    }
    this.batch.leaders.push(entry);
    this.batch.followers.push([]);
    this.#rows += item.slices.length;
    this.#bytes += item.bytes;
    return 'goes';
  }

  #fits({ slices, bytes }: Item): boolean {
    return this.#rows + slices.length <= this.#limits.flushRowsMax && this.#bytes + bytes <= this.#limits.flushBytesMax;
  }
}

/** Whether an item leads (is written), repeats a leader (the number of that leader), or waits for the next batch. */
function roleOf(item: BatchItem, taken: Map<string, { content: string; leader: number }>): 'lead' | 'wait' | number {
  const known = item.slices.map(({ address }) => taken.get(address));
  if (known.every((one) => one === undefined)) return 'lead';
  const leader = known[0]?.leader;
  const repeats = known.every((one, i) => one?.leader === leader && one?.content === item.slices[i]?.content);
  return leader !== undefined && repeats ? leader : 'wait';
}
