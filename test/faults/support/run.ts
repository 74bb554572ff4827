import { type Audit, type AuditOptions, audit, type Violation } from './audit.ts';
import { createHistory, type History } from './history.ts';
import { createRandom, type Random } from './random.ts';

export type Scale = 'tiny' | 'small' | 'full';

/** One run of one fault: what it draws from, what it counts, and what it has found. */
export interface Run {
  seed: number;
  scale: Scale;
  random: Random;
  history: History;
  /** One of the figures, by scale. */
  size(sizes: Record<Scale, number>): number;
  /** A number that no content of this run has had. */
  newContent(): number;
  /** Counts requests that are not writes of chunks; those are counted by the history. */
  operation(count?: number): void;
  fault(kind: string, count?: number): void;
  /** Something that is worth counting and no fault. */
  seen(kind: string, count?: number): void;
  blame(place: string, what: string, history?: string[]): void;
  /** Blames unless the figure is within its bound; keeps the largest of each name for the report. */
  measure(name: string, value: number, bound: { max: number; unit: string }): void;
  /** A line of the report. */
  note(line: string): void;
  /** By default of the history of this run. */
  audit(options: Omit<AuditOptions, 'history'>, history?: History): Promise<Audit>;
  /** The report: one line with counts, one line for each figure. */
  report(): string;
  violations(): readonly Violation[];
  totals(): { operations: number; faults: number; violations: number };
}

export function createRun(seed: number, scale: Scale): Run {
  const random = createRandom(seed);
  const history = createHistory();
  const faults = new Map<string, number>();
  const seen = new Map<string, number>();
  const figures = new Map<string, { values: number[]; max: number; unit: string }>();
  const violations: Violation[] = [];
  const notes: string[] = [];
  let content = 0;
  let operations = 0;
  let audited = 0;
  const startedAt = performance.now();
  const run: Run = {
    seed,
    scale,
    random,
    history,
    size: (sizes) => sizes[scale],
    newContent: () => content++,
    operation: (count = 1) => {
      operations += count;
    },
    fault: (kind, count = 1) => faults.set(kind, (faults.get(kind) ?? 0) + count),
    seen: (kind, count = 1) => seen.set(kind, (seen.get(kind) ?? 0) + count),
    blame: (place, what, told = []) => violations.push({ place, what, history: told }),
    measure(name, value, { max, unit }) {
      const figure = figures.get(name) ?? { values: [], max, unit };
      figure.values.push(value);
      figures.set(name, figure);
      if (value > max) run.blame(name, `${shown(value)} ${unit}, at most ${shown(max)} ${unit} are allowed`);
    },
    note: (line) => notes.push(line),
    async audit(options, told = history) {
      const result = await audit({ ...options, history: told });
      audited += result.chunks;
      violations.push(...result.violations);
      return result;
    },
    report() {
      const counts = [
        `${shown(operations + history.attempts())} operations`,
        ...[...faults, ...seen].map(([kind, count]) => `${shown(count)} ${kind}`),
        `${shown(audited)} chunks audited`,
        `${shown(violations.length)} violations`,
      ];
      const seconds = shown((performance.now() - startedAt) / 1_000);
      const lines = [...[...figures].map(([name, figure]) => `${name}: ${told(figure)}`), ...notes];
      return [`seed ${seed}: ${counts.join(', ')} (${seconds} s)`, ...lines].join('\n  ');
    },
    violations: () => violations,
    totals: () => ({
      operations: operations + history.attempts(),
      faults: [...faults.values()].reduce((sum, count) => sum + count, 0),
      violations: violations.length,
    }),
  };
  return run;
}

/** How many of each kind, and the first violations with their histories. Empty when there are none. */
export function tellViolations(violations: readonly Violation[]): string {
  const shownMax = 10;
  const kinds = new Map<string, number>();
  for (const { what } of violations) {
    const kind = what.replace(/\d+/g, 'N').slice(0, 100);
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const counted = [...kinds].map(([kind, count]) => `${shown(count)} × ${kind}`);
  const told = violations
    .slice(0, shownMax)
    .map(({ place, what, history }) => [`${place}: ${what}`, ...history.map((line) => `    ${line}`)].join('\n'));
  if (violations.length > shownMax) told.unshift(...counted);
  return told.join('\n');
}

export const shown = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 1 : 0 });

function told({ values, max, unit }: { values: number[]; max: number; unit: string }): string {
  const sorted = values.toSorted((one, other) => one - other);
  const most = shown(sorted.at(-1) as number);
  const middle = shown(sorted[sorted.length >> 1] as number);
  const spread = values.length > 1 ? `median ${middle}, at most ${most}` : most;
  return `${spread} ${unit} (bound ${shown(max)} ${unit}, taken ${shown(values.length)} times)`;
}
