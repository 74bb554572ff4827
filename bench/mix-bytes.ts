import { storedBytesOf } from './stored-bytes.ts';
import type { Bench } from './support/bench.ts';
import { measure } from './support/load.ts';
import type { Result, Row } from './support/row.ts';
import type { Sql, Target } from './support/target.ts';

type Marks = { must: number; aim: number };

export const mixBytes: Row = {
  id: 'mix-bytes',
  question: 'How many bytes does a point as labs send it take on disk, and in the write-ahead log?',
  run: async (bench) => [
    ...(await bytesPerPoint(bench, 100, { disk: { must: 9.5, aim: 8 }, log: { must: 10, aim: 8 } })),
    ...(await bytesPerPoint(bench, 1_000, { disk: { must: 7, aim: 5.5 }, log: { must: 8, aim: 6 } })),
  ],
};

async function bytesPerPoint(bench: Bench, points: number, marks: { disk: Marks; log: Marks }): Promise<Result[]> {
  const { disk, log } = await bench.on('ours', async (target) => {
    const sql = target.sql as Sql;
    const load = await bench.loadFor(target, { format: 'chunk', points, isMix: true });
    const requestsMax = Math.ceil(bench.options.sizedPoints / points);
    await sql('checkpoint');
    const before = { log: await logBytes(sql), points: await target.storedPoints() };
    await measure(target, { ...load, requestsMax }, bench.options);
    const stored = (await target.storedPoints()) - before.points;
    return { log: ((await logBytes(sql)) - before.log) / stored, disk: await storedBytesOf(target as Target) };
  });
  const at = `mix at ${points.toLocaleString('en')} points a chunk`;
  bench.say(`${at}: ${disk.toFixed(2)} bytes per point on disk, ${log.toFixed(2)} in the write-ahead log`);
  return [
    result(`stored, ${at}`, disk, 'all tables and indexes, after a checkpoint', marks.disk),
    result(`write-ahead log, ${at}`, log, 'from a checkpoint on', marks.log),
  ];
}

async function logBytes(sql: Sql): Promise<number> {
  const [row] = await sql<{ bytes: number }>(`select (pg_current_wal_insert_lsn() - '0/0')::float8 as bytes`);
  return (row as { bytes: number }).bytes;
}

const result = (title: string, ours: number, durability: string, marks: Marks): Result => ({
  title,
  unit: 'bytes/point',
  ours,
  baseline: null,
  ratio: null,
  bound: { of: 'ours', is: 'at most', ...marks },
  durability: { ours: durability, baseline: '' },
  rounds: { ours: [ours], baseline: [] },
});
