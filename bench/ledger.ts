import type { Bench } from './support/bench.ts';
import { compare } from './support/rounds.ts';
import type { Result, Row } from './support/row.ts';
import type { Sql, Target } from './support/target.ts';

const pointsPerChunk = 10;
/** One of this many chunks is missing. */
const missingEvery = 100;

export const ledger: Row = {
  id: 'ledger',
  question: 'How long do the ledger and the certificate of a long channel take, against ranges and sums by SQL?',
  run: (bench) =>
    bench.on('ours', async (target) => {
      const chunks = bench.options.readPoints;
      const stream = await fillChannel(target, chunks);
      return [await against(bench, target, stream, 'chunks'), await against(bench, target, stream, 'certificate')];
    }),
};

function against(bench: Bench, target: Target, stream: string, path: 'chunks' | 'certificate'): Promise<Result> {
  const what = path === 'chunks' ? 'ledger' : 'certificate';
  const size = bench.options.readPoints;
  const missing = Math.ceil(size / missingEvery);
  return compare(
    bench,
    {
      title: `${what} of a channel of ${size.toLocaleString('en')} chunks, against its ranges and sums by SQL`,
      unit: 'ms',
      bound: { of: 'ratio', is: 'at most', must: 4, aim: 2 },
    },
    {
      ours: {
        durability: 'through the server, no connection held',
        round: () => timed(async () => check(await readChannel(target, `${stream}/${path}`), size, missing)),
      },
      baseline: {
        durability: 'gaps and islands in one statement, in PostgreSQL',
        round: () =>
          timed(async () => {
            const [found] = await (target.sql as Sql)<{ runs: number }>(ranges, [stream]);
            if (found?.runs !== missing) throw new Error(`SQL found ${found?.runs} runs instead of ${missing}`);
          }),
      },
    },
  );
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

interface Channel {
  chunk_count: number;
  missing: unknown[];
}

async function readChannel({ url, key }: Target, path: string): Promise<Channel> {
  const answer = await fetch(`${url}/tool-state/stream/${path}`, { headers: { 'X-API-KEY': key } });
  if (answer.status !== 200) throw new Error(`${path} was answered ${answer.status}`);
  const { channels } = (await answer.json()) as { channels: [Channel] };
  return channels[0];
}

function check({ chunk_count, missing }: Channel, size: number, missingCount: number): void {
  if (chunk_count === size - missingCount && missing.length === missingCount) return;
  throw new Error(
    `${chunk_count} chunks and ${missing.length} gaps instead of ${size - missingCount}, ${missingCount}`,
  );
}

/** Makes a channel by SQL. Its first chunk is missing, and every hundredth after it. */
async function fillChannel(target: Target, size: number): Promise<string> {
  const sql = target.sql as Sql;
  const [stream] = (await target.openStreams(1, pointsPerChunk)) as [string];
  await sql(fill, [stream, size, missingEvery, pointsPerChunk]);
  await sql('vacuum analyze chunks');
  return stream;
}

const fill = `
  with channel as (
    insert into channels (organization_id, data_id, channel_name, chunk_count, point_count)
    select (select organization_id from streams where data_id = $1::uuid), $1::uuid, 'thickness', count(*), count(*) * $4::bigint
    from generate_series(0, $2::bigint - 1) i where i % $3::bigint > 0
    returning organization_id, data_id, channel_id
  )
  insert into chunks (organization_id, data_id, channel_id, chunk_index, start_offset, key_id, time_min, time_max, point_count, null_count,
                      ascending, content_hash, units, timestamps, values)
  select c.organization_id, c.data_id, c.channel_id, i, i * $4::bigint, k.key_id, i, i + 0.9, $4::integer, 0, true,
         sha256(int8send(i)), 'nm', array_fill(i::float8, array[$4::integer]), array_fill(i::float8, array[$4::integer])
  from channel c, (select key_id from api_keys limit 1) k, generate_series(0, $2::bigint - 1) i
  where i % $3::bigint > 0`;

const ranges = `
  select count(*)::float8 as runs, sum(points), sum(nulls), sum(replaced), min(first_time), max(last_time), min(first), max(last)
  from (
    select min(chunk_index), max(chunk_index), sum(point_count) as points, sum(null_count) as nulls,
           sum(replaced_count) as replaced, min(time_min) as first_time, max(time_max) as last_time,
           min(stored_at) as first, max(changed_at) as last
    from (
      select chunks.*, chunk_index - row_number() over (order by chunk_index) as run
      from chunks join channels using (data_id, channel_id) where data_id = $1::uuid
    ) numbered group by run
  ) runs`;
