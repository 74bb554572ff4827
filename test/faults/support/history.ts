/**
 * stored: acknowledged. refused: the answer says that nothing was stored, or the request never was whole. unknown: no
 * answer, or one that leaves it open.
 */
export type Outcome = 'stored' | 'refused' | 'unknown';

/** One request that wrote, as its sender saw it. Times are ms of one clock. */
export interface Attempt {
  by: string;
  startedAt: number;
  /** Infinity while there is no answer: what has none may still take effect. */
  endedAt: number;
  outcome: Outcome;
  answer: string;
  /** Where it writes, when that is more than one place. */
  places: readonly Address[];
}

interface Writing {
  attempt: Attempt;
  content: number;
}

export interface Address {
  dataId: string;
  channel: string;
  index: number;
}

/** What may stand at an address in the end. */
export interface Allowed {
  contents: Set<number>;
  absent: boolean;
}

/** Everything that was written, by stream, channel and index: what the audit compares with. */
export interface History {
  /** Notes that a request begins, which writes these contents; it counts as unknown until `end`. */
  begin(by: string, writes: readonly (Address & { content: number })[]): Attempt;
  end(attempt: Attempt, outcome: Outcome, answer: string): void;
  /** From now on no request without an answer can take effect: whoever could have run it has ended. */
  settle(): void;
  streams(): string[];
  channels(dataId: string): string[];
  indexes(dataId: string, channel: string): number[];
  allowed(address: Address): Allowed;
  /** Whether this content was ever acknowledged there. */
  wasStored(address: Address, content: number): boolean;
  /** The places of each request of several channels that had no answer and that nobody sent again: all or none. */
  doubtful(dataId: string): Address[][];
  /** What is told of an address when it is wrong: one line for each attempt. */
  tell(address: Address): string[];
  attempts(): number;
  /** The history as it was at one moment between now and `end`, which a backup shows. */
  snapshot(): { history: History; end(): void };
}

type Indexes = Map<number, Writing[]>;
type Channels = Map<string, Indexes>;
type Streams = Map<string, Channels>;

export function createHistory(now: () => number = () => performance.now(), streams: Streams = new Map()): History {
  const open = new Set<Attempt>();
  let attempts = 0;
  const writingsAt = ({ dataId, channel, index }: Address) => streams.get(dataId)?.get(channel)?.get(index) ?? [];

  const history: History = {
    begin(by, writes) {
      const attempt: Attempt = {
        by,
        startedAt: now(),
        endedAt: Number.POSITIVE_INFINITY,
        outcome: 'unknown',
        answer: 'no answer yet',
        places: writes.length > 1 ? writes : [],
      };
      attempts++;
      open.add(attempt);
      for (const { dataId, channel, index, content } of writes) {
        const indexes = indexesOf(streams, dataId, channel);
        getOrMake(indexes, index, () => [] as Writing[]).push({ attempt, content });
      }
      return attempt;
    },
    end(attempt, outcome, answer) {
      attempt.outcome = outcome;
      attempt.answer = answer;
      if (outcome === 'unknown') return;
      attempt.endedAt = now();
      open.delete(attempt);
    },
    settle() {
      for (const attempt of open) attempt.endedAt = now();
      open.clear();
    },
    streams: () => [...streams.keys()],
    channels: (dataId) => [...(streams.get(dataId)?.keys() ?? [])],
    indexes: (dataId, channel) => [...(streams.get(dataId)?.get(channel)?.keys() ?? [])],
    allowed: (address) => allowedOf(writingsAt(address)),
    wasStored: (address, content) =>
      writingsAt(address).some((one) => one.content === content && one.attempt.outcome === 'stored'),
    doubtful(dataId) {
      const all = [...(streams.get(dataId)?.values() ?? [])].flatMap((indexes) => [...indexes.values()].flat());
      const attempts = new Set(all.map(({ attempt }) => attempt).filter(({ outcome }) => outcome === 'unknown'));
      return [...attempts]
        .map(({ places }) => [...places])
        .filter((places) => places.length > 1 && places.every((place) => writingsAt(place).length === 1));
    },
    tell: (address) => writingsAt(address).map(describe),
    attempts: () => attempts,
    snapshot() {
      const from = now();
      const view: Streams = new Map();
      const end = () => {
        const until = now();
        for (const [dataId, channels] of streams) {
          for (const [channel, indexes] of channels) {
            for (const [index, writings] of indexes) {
              const known = writings.filter(({ attempt }) => attempt.startedAt < until).map((one) => asOf(one, from));
              if (known.length > 0) indexesOf(view, dataId, channel).set(index, known);
            }
          }
        }
      };
      return { history: createHistory(now, view), end };
    },
  };
  return history;
}

function indexesOf(streams: Streams, dataId: string, channel: string): Indexes {
  const channels = getOrMake(streams, dataId, (): Channels => new Map());
  return getOrMake(channels, channel, (): Indexes => new Map());
}

/** A writing as a snapshot that is taken at or after a moment may show it: what had not ended by then is open. */
function asOf({ attempt, content }: Writing, from: number): Writing {
  // A copy, since an attempt that is open now is still to end.
  if (attempt.outcome !== 'stored' || attempt.endedAt < from) return { attempt: { ...attempt }, content };
  return { attempt: { ...attempt, outcome: 'unknown', endedAt: Number.POSITIVE_INFINITY }, content };
}

/**
 * A write takes effect at one moment between its start and its end. So what an acknowledged one wrote is there, unless
 * something else began before it ended, and what ended before another acknowledged one began has been replaced.
 */
function allowedOf(writings: readonly Writing[]): Allowed {
  const stored = writings.filter(({ attempt }) => attempt.outcome === 'stored');
  const lastStart = stored.reduce((last, { attempt }) => Math.max(last, attempt.startedAt), Number.NEGATIVE_INFINITY);
  const possible = writings.filter(({ attempt }) => attempt.outcome !== 'refused' && attempt.endedAt >= lastStart);
  return { contents: new Set(possible.map(({ content }) => content)), absent: stored.length === 0 };
}

function describe({ attempt, content }: Writing): string {
  const ended = Number.isFinite(attempt.endedAt) ? `to ${attempt.endedAt.toFixed(1)}` : 'without an end';
  const when = `from ${attempt.startedAt.toFixed(1)} ms ${ended}`;
  return `${when} by ${attempt.by}: content ${content}, ${attempt.outcome}: ${attempt.answer}`;
}

function getOrMake<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
