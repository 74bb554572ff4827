import type { TestServer } from '../support/test-server.ts';
import type { ModelChunk } from './model.ts';

export async function openStream(server: TestServer, pointsPerChunk = 10, key?: string): Promise<string> {
  const answer = await server.post(
    '/metrology/stream/initialize',
    { stream_name: 'a run', points_per_chunk: pointsPerChunk },
    key,
  );
  if (answer.status !== 200) throw new Error(answer.text);
  return answer.json.data_id;
}

export async function storeChunk(
  server: TestServer,
  dataId: string,
  channelName: string,
  { chunk_index, timestamps, values }: ModelChunk,
  units?: string,
): Promise<void> {
  const body = { data_id: dataId, chunk_index, channel_name: channelName, timestamps, values, units };
  const answer = await server.post('/metrology/stream/chunk', exactJson(body));
  if (answer.status !== 201) throw new Error(answer.text);
}

/** JSON.stringify writes −0 as 0. */
function exactJson(body: object): string {
  return JSON.stringify(body, (_, value) => (Object.is(value, -0) ? '-0.0-' : value)).replaceAll('"-0.0-"', '-0.0');
}

/** A channel of many chunks of regular times, made by the database: by chunk, `points` readings 10 ms apart. */
export async function fillChannel(
  server: TestServer,
  dataId: string,
  channelName: string,
  { chunks, points, stepSeconds = 0.01 }: { chunks: number; points: number; stepSeconds?: number },
): Promise<void> {
  const { pool } = server.database;
  const total = chunks * points;
  const { rows } = await pool.query(
    `insert into channels (data_id, channel_name, chunk_count, point_count, time_min, time_max, units)
     values ($1::uuid, $2::text, $3::bigint, $4::bigint, 1700000000, 1700000000 + ($4::bigint - 1) * $5::float8, 'nm')
     returning channel_id`,
    [dataId, channelName, chunks, total, stepSeconds],
  );
  await pool.query(
    `insert into chunks (data_id, channel_id, chunk_index, start_offset, key_id, time_min, time_max, point_count,
                         null_count, ascending, content_hash, timestamps, values)
     select $1::uuid, $2::bigint, k, k * $4::bigint, 1, 1700000000 + k * $4::bigint * $5::float8,
            1700000000 + ((k + 1) * $4::bigint - 1) * $5::float8, $4::int, 0, true, sha256(k::text::bytea),
            (select array_agg(1700000000 + (k * $4::bigint + i) * $5::float8 order by i)
             from generate_series(0, $4::int - 1) i),
            (select array_agg(sin((k * $4::bigint + i)::float8) order by i) from generate_series(0, $4::int - 1) i)
     from generate_series(0::bigint, $3::bigint - 1) k`,
    [dataId, rows[0].channel_id, chunks, points, stepSeconds],
  );
}
