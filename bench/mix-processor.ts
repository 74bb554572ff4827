import type { Bench } from './support/bench.ts';
import type { Measured } from './support/load.ts';
import { compare, oursDurability } from './support/rounds.ts';
import type { Result, Row } from './support/row.ts';
import { NotInstalled, type TargetKind } from './support/target.ts';

type Marks = { must: number; aim: number };

export const mixProcessor: Row = {
  id: 'mix-processor',
  question: 'How much processor does a chunk as labs send it take, packed against as it was sent?',
  async run(bench) {
    // Processor time is counted for the processes below the server, and another PostgreSQL is not among them.
    if (bench.options.postgres !== undefined)
      throw new NotInstalled('needs an embedded PostgreSQL: leave out --postgres');
    return [
      ...(await processor(bench, 100, { postgres: { must: 0.65, aim: 0.5 }, server: { must: 1.03, aim: 0.95 } })),
      ...(await processor(bench, 1_000, { postgres: { must: 0.6, aim: 0.45 } })),
    ];
  },
};

/** Measures PostgreSQL and the server in the same rounds. */
async function processor(bench: Bench, points: number, marks: { postgres: Marks; server?: Marks }): Promise<Result[]> {
  const servers: Record<string, number[]> = { packed: [], 'as-sent': [] };
  const postgresOf = async (kind: TargetKind) => {
    const measured = await bench.measureOn(kind, { format: 'chunk', points, isMix: true });
    const { postgres, server } = shares(measured);
    servers[kind]?.push(server);
    return postgres;
  };
  const title = (what: string) =>
    `${what}, mix at ${points.toLocaleString('en')} points a chunk, packed against as it was sent`;
  const line = (what: string, bound: Marks) => ({
    title: title(what),
    unit: 'µs/chunk',
    bound: { of: 'ratio', is: 'at most', ...bound } as const,
  });
  const side = (round: () => Promise<number>) => ({ durability: oursDurability, round });
  const postgres = await compare(bench, line(`PostgreSQL's processor`, marks.postgres), {
    ours: side(() => postgresOf('packed')),
    baseline: side(() => postgresOf('as-sent')),
  });
  if (marks.server === undefined) return [postgres];
  // The rounds of the server have been measured already, so this only compares them.
  const next = (kind: string) => side(async () => servers[kind]?.shift() as number);
  const server = await compare(bench, line(`the server's processor`, marks.server), {
    ours: next('packed'),
    baseline: next('as-sent'),
  });
  return [postgres, server];
}

/** Processor time of PostgreSQL, whose programs are called postgres, and of the server: everything but that and the generator. */
function shares({ cpuMicroseconds }: Measured): { postgres: number; server: number } {
  const { generator: _, postgres = 0, ...others } = cpuMicroseconds;
  if (postgres === 0) throw new Error('no processor time of PostgreSQL is to be seen');
  return { postgres, server: Object.values(others).reduce((sum, one) => sum + one, 0) };
}
