import pg from 'pg';
import { createSqlReader } from '../../src/auth/sql-readers.ts';
import { download } from '../support/download.ts';
import { resultOf } from '../support/rounds.ts';
import type { Result } from '../support/row.ts';
import type { Run } from './fill.ts';
import type { Reading } from './reads.ts';

/** The allowed relative difference: PostgreSQL adds one value after the other and rounds each time. */
const differenceMax = 1e-9;

interface Figures {
  count: number;
  mean: number;
  deviation: number;
}

/** Mean and standard deviation of a channel, against the same by SQL. */
export async function statisticsAgainstSql({ bed, rounds }: Reading, run: Run): Promise<Result[]> {
  const { rows } = await bed.client.query('select name from organizations limit 1');
  const { url } = await createSqlReader(bed.owner, bed.connectionString, rows[0].name);
  const reader = new pg.Client({ connectionString: url });
  await reader.connect();
  try {
    const path = `/tool-state/${run.dataId}/statistics/?property_names=channel-0`;
    const figures = { ours: [] as number[], baseline: [] as number[] };
    await ourFigures(bed.withOverviews, path);
    for (let round = 0; round < rounds; round++) {
      const ours = await ourFigures(bed.withOverviews, path);
      const sql = round < 2 ? await sqlFigures(reader, run) : { ms: figures.baseline[0] as number, found: ours.found };
      requireSame(ours.found, sql.found);
      figures.ours.push(ours.ms);
      figures.baseline.push(sql.ms);
    }
    bed.say(`  rounds: ${figures.ours.map((ms) => ms.toFixed(1)).join(', ')} ms`);
    const line = {
      title: `mean and standard deviation of ${run.points.toLocaleString('en')} points in chunks of ${run.pointsPerChunk}, against avg and stddev over points`,
      unit: 'ms',
      bound: { of: 'ratio', is: 'at most', must: 1 / 20, aim: 1 / 100 } as const,
    };
    return [resultOf(line, figures, { ours: 'GET …/statistics/, to the last byte', baseline: 'a reader in SQL' })];
  } finally {
    await reader.end();
  }
}

async function ourFigures(side: { url: string; key: string }, path: string): Promise<{ ms: number; found: Figures }> {
  const pieces: Buffer[] = [];
  const ms = await download(side, path, (piece) => pieces.push(piece));
  const answer = JSON.parse(Buffer.concat(pieces).toString());
  const { count, mean, sample_standard_deviation: deviation } = answer.properties['channel-0'];
  return { ms, found: { count, mean, deviation } };
}

async function sqlFigures(reader: pg.Client, { dataId }: Run): Promise<{ ms: number; found: Figures }> {
  const begunAt = performance.now();
  const { rows } = await reader.query<Figures>(
    `select count(value)::float8 as count, avg(value) as mean, stddev(value) as deviation from points
     where data_id = $1::uuid and channel_name = 'channel-0'`,
    [dataId],
  );
  return { ms: performance.now() - begunAt, found: rows[0] as Figures };
}

function requireSame(ours: Figures, sql: Figures): void {
  for (const name of ['count', 'mean', 'deviation'] as const) {
    if (!(Math.abs(ours[name] / sql[name] - 1) <= differenceMax))
      throw new Error(`${name} is ${ours[name]}, and by SQL ${sql[name]}`);
  }
}
