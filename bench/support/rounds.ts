import type { Bench } from './bench.ts';
import type { Bound, Result } from './row.ts';
import type { TargetKind } from './target.ts';

/** One side of a comparison: a round of it gives one figure. */
export interface Side {
  durability: string;
  round(): Promise<number>;
}

type Line = Pick<Result, 'title' | 'unit' | 'bound'>;

/** Measures both sides in alternating rounds, ours first, so that changes on the machine affect both. */
export async function compare(
  bench: Bench,
  line: Line,
  { ours, baseline }: { ours: Side; baseline: Side },
): Promise<Result> {
  const rounds = { ours: [] as number[], baseline: [] as number[] };
  for (let round = 0; round < bench.options.rounds; round++) {
    rounds.ours.push(await ours.round());
    rounds.baseline.push(await baseline.round());
  }
  return resultOf(line, rounds, { ours: ours.durability, baseline: baseline.durability });
}

/** The result of rounds of both sides: their medians, and the median of the ratios. Figures of one round have the same index. */
export function resultOf(line: Line, rounds: Result['rounds'], durability: Result['durability']): Result {
  return {
    ...line,
    ours: median(rounds.ours),
    baseline: median(rounds.baseline),
    ratio: median(rounds.ours.map((value, i) => value / (rounds.baseline[i] as number))),
    durability,
    rounds,
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  if (sorted.length === 0) throw new Error('nothing was measured');
  return Number.isInteger(half)
    ? ((sorted[half - 1] as number) + (sorted[half] as number)) / 2
    : (sorted[Math.floor(half)] as number);
}

export const oursDurability = 'fsync before the answer, shared by a flush';

/** What both sides are sent: by default single chunks of 100 points. */
interface Sent {
  points?: number;
  /** Channels of one request: `chunk/multi` for our server, lines of one body for the other. */
  channels?: number;
  isMix?: boolean;
}

/** Compares our server with one that takes the same data. */
export function againstOther(
  bench: Bench,
  line: { kind: TargetKind; title: string; durability: string; bound: Bound; unit?: string },
  { points = 100, channels = 1, isMix = false }: Sent = {},
): Promise<Result> {
  const { kind, title, durability, bound, unit = 'chunks/s' } = line;
  const ours = channels > 1 ? 'multi' : 'chunk';
  const format = kind === 'victoria' || kind === 'influx' ? kind : ours;
  const perSecond = async (of: TargetKind) => {
    const wish = { format: of === 'ours' ? ours : format, points, channels, isMix } as const;
    return (await bench.measureOn(of, wish)).requestsPerSecond;
  };
  return compare(
    bench,
    { title, unit, bound },
    {
      ours: { durability: oursDurability, round: () => perSecond('ours') },
      baseline: { durability, round: () => perSecond(kind) },
    },
  );
}
