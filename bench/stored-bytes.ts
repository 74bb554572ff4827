import type { Bench } from './support/bench.ts';
import { measure } from './support/load.ts';
import type { Result, Row } from './support/row.ts';
import type { Sql, Target } from './support/target.ts';

/** The bytes of one point as two bare float64. */
const bareBytes = 16;

export const storedBytes: Row = {
  id: 'stored-bytes',
  question: 'How many bytes does a point take on disk, with all tables and indexes?',
  run: async (bench) => [
    await bytesPerPoint(bench, 100, { must: 22, aim: 21 }),
    await bytesPerPoint(bench, 1_000, { must: 18, aim: 17 }),
  ],
};

async function bytesPerPoint(bench: Bench, points: number, marks: { must: number; aim: number }): Promise<Result> {
  const bytes = await bench.on('ours', async (target) => {
    const load = await bench.loadFor(target, { format: 'chunk', points });
    const requestsMax = Math.ceil(bench.options.sizedPoints / points);
    await measure(target, { ...load, requestsMax }, bench.options);
    return storedBytesOf(target);
  });
  bench.say(`${points} points a chunk: ${bytes.toFixed(2)} bytes per point`);
  return {
    title: `stored, at ${points.toLocaleString('en')} points a chunk, against two bare float64`,
    unit: 'bytes/point',
    ours: bytes,
    baseline: bareBytes,
    ratio: bytes / bareBytes,
    bound: { of: 'ours', is: 'at most', ...marks },
    durability: { ours: 'all tables and indexes, after a checkpoint', baseline: 'computed' },
    rounds: { ours: [bytes], baseline: [bareBytes] },
  };
}

export async function storedBytesOf(target: Target): Promise<number> {
  const sql = target.sql as Sql;
  await sql('checkpoint');
  const [row] = await sql<{ bytes: number }>(
    `select sum(pg_total_relation_size(c.oid))::float8 as bytes
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'public' and c.relkind in ('r', 'p', 'm')`,
  );
  return (row as { bytes: number }).bytes / (await target.storedPoints());
}
