import type { Bench } from './bench.ts';

/** A question of the benchmark. */
export interface Row {
  id: string;
  question: string;
  /** Takes minutes: part of `--soak` only. */
  soak?: boolean;
  run(bench: Bench): Promise<Result[]>;
}

/** One line of the table: the median of some rounds. */
export interface Result {
  title: string;
  unit: string;
  ours: number;
  /** The figure of the baseline; null when there is none. */
  baseline: number | null;
  /** Median of the ratios of the rounds. */
  ratio: number | null;
  bound: Bound;
  durability: { ours: string; baseline: string };
  rounds: { ours: number[]; baseline: number[] };
  note?: string;
}

export interface Bound {
  /** Which figure it bounds. */
  of: 'ratio' | 'ours';
  is: 'at least' | 'at most';
  must: number;
  aim: number;
}

/** Whether a result reaches its bound. */
export function verdictOf({ bound, ours, ratio }: Result): 'aim' | 'must' | 'missed' {
  const value = bound.of === 'ours' ? ours : (ratio ?? Number.NaN);
  const reaches = (mark: number) => (bound.is === 'at least' ? value >= mark : value <= mark);
  if (reaches(bound.aim)) return 'aim';
  return reaches(bound.must) ? 'must' : 'missed';
}
