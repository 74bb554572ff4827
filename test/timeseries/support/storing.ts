import type { ModelChunk } from '../../points/support/model.ts';
import type { TestServer } from '../../support/test-server.ts';

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
  const { pool } = server.owner;
  const organizationId = await organizationOf(server, dataId);
  const total = chunks * points;
  const { rows } = await pool.query(
    `insert into channels (organization_id, data_id, channel_name, chunk_count, point_count, time_min, time_max, units,
                           chunk_seconds_max)
     values ($7::uuid, $1::uuid, $2::text, $3::bigint, $4::bigint, 1700000000, 1700000000 + ($4::bigint - 1) * $5::float8, 'nm',
             ($6::bigint - 1) * $5::float8)
     returning channel_id`,
    [dataId, channelName, chunks, total, stepSeconds, points, organizationId],
  );
  await pool.query(
    `insert into chunks (organization_id, data_id, channel_id, chunk_index, start_offset, key_id, time_min, time_max, point_count,
                         null_count, ascending, content_hash, timestamps, values,
                         value_min, value_max, value_min_time, value_max_time)
     select $6::uuid, $1::uuid, $2::bigint, k, k * $4::bigint, 1, p.times[1], p.times[$4::int], $4::int, 0, true,
            sha256(k::text::bytea), p.times, p.readings, p.sorted[1], p.sorted[$4::int], p.by_value[1], p.by_value[$4::int]
     from generate_series(0::bigint, $3::bigint - 1) k
     cross join lateral (
       select array_agg(time order by i) as times, array_agg(reading order by i) as readings,
              array_agg(reading order by reading) as sorted, array_agg(time order by reading) as by_value
       from (select i, 1700000000 + (k * $4::bigint + i) * $5::float8 as time, sin((k * $4::bigint + i)::float8) as reading
             from generate_series(0, $4::int - 1) i) one
     ) p`,
    [dataId, rows[0].channel_id, chunks, points, stepSeconds, organizationId],
  );
}

export async function organizationOf({ owner: { pool } }: TestServer, dataId: string): Promise<string> {
  const { rows } = await pool.query('select organization_id from streams where data_id = $1::uuid', [dataId]);
  return rows[0].organization_id;
}
