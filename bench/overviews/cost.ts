import type { Bench } from '../support/bench.ts';
import { measure } from '../support/load.ts';
import { cpuSeconds } from '../support/processes.ts';
import { oursDurability, resultOf } from '../support/rounds.ts';
import type { Result } from '../support/row.ts';
import type { Sql, Target } from '../support/target.ts';
import { untilSettled } from './bed.ts';

/** The processor time and disk space that overviews take, for the mix as labs send it. */
export async function costForIngest(bench: Bench, points: number): Promise<Result[]> {
  return [...(await costAt(bench, 100, points * 3)), ...(await costAt(bench, 1_000, points * 6))];
}

interface Cost {
  /** Processor time of server and PostgreSQL in µs for each chunk: during ingest, and until all overviews are made. */
  duringUs: number;
  inAllUs: number;
  /** Bytes of the table `overviews` with its indexes and TOAST, for each point that a block covers. */
  bytesPerPoint: number;
}

async function costAt(bench: Bench, pointsPerChunk: number, points: number): Promise<Result[]> {
  const costs: Record<'packed' | 'without-overviews', Cost[]> = { packed: [], 'without-overviews': [] };
  for (let round = 0; round < bench.options.rounds; round++) {
    for (const kind of ['packed', 'without-overviews'] as const) {
      const cost = await bench.on(kind, (target) => costOf(bench, target, pointsPerChunk, points));
      const us = `${cost.duringUs.toFixed(1)} µs a chunk while they came, ${cost.inAllUs.toFixed(1)} in all`;
      bench.say(`  ${kind}: ${us}, ${cost.bytesPerPoint.toFixed(3)} bytes a point`);
      costs[kind].push(cost);
    }
  }
  const at = `mix at ${pointsPerChunk.toLocaleString('en')} points a chunk`;
  const of = (name: keyof Cost) => ({
    ours: costs.packed.map((cost) => cost[name]),
    baseline: costs['without-overviews'].map((cost) => cost[name]),
  });
  const processor = (what: string, name: keyof Cost) =>
    resultOf(
      {
        title: `processor of server and PostgreSQL, ${what}, ${at}, with overviews against without`,
        unit: 'µs/chunk',
        bound: { of: 'ratio', is: 'at most', must: 1.05, aim: 1.02 },
      },
      of(name),
      { ours: oursDurability, baseline: oursDurability },
    );
  const bytes = of('bytesPerPoint').ours;
  return [
    processor('while chunks come', 'duringUs'),
    processor('until all overviews are made', 'inAllUs'),
    {
      ...resultOf(
        {
          title: `overviews on disk, ${at}`,
          unit: 'bytes/point',
          bound: { of: 'ours', is: 'at most', must: 0.3, aim: 0.2 },
        },
        { ours: bytes, baseline: bytes },
        { ours: 'the table with its index and long values, after a checkpoint', baseline: '' },
      ),
      ...{ baseline: null, ratio: null },
    },
  ];
}

async function costOf(bench: Bench, target: Target, pointsPerChunk: number, points: number): Promise<Cost> {
  const load = await bench.loadFor(target, { format: 'chunk', points: pointsPerChunk, isMix: true });
  const requestsMax = Math.ceil(points / pointsPerChunk);
  const measured = await measure(target, { ...load, requestsMax }, bench.options);
  const { generator: _, ...during } = measured.cpuMicroseconds;
  const duringUs = sum(during);
  const before = sum(cpuSeconds(target.pid));
  await untilSettled(target);
  const laterUs = ((sum(cpuSeconds(target.pid)) - before) * 1e6) / measured.sent;
  const sql = target.sql as Sql;
  await sql('checkpoint');
  const [row] = await sql<{ bytes: number; blocks: number }>(
    `select pg_total_relation_size('overviews')::float8 as bytes, count(*)::float8 as blocks from overviews where "level" = 1`,
  );
  const { bytes, blocks } = row as { bytes: number; blocks: number };
  return {
    duringUs,
    inAllUs: duringUs + laterUs,
    bytesPerPoint: blocks === 0 ? 0 : bytes / blocks / 64 / pointsPerChunk,
  };
}

const sum = (parts: Record<string, number>) => Object.values(parts).reduce((all, one) => all + one, 0);
