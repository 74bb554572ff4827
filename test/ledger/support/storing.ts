import { createHash } from 'node:crypto';
import { encodeFloat8Array } from '../../../src/database/float8-array.ts';
import type { TestServer } from '../../support/test-server.ts';
import { organizationOf } from '../../timeseries/support/storing.ts';

export interface Readings {
  timestamps: (number | null)[];
  values: (number | null)[];
  units?: string;
}

export async function openStream(server: TestServer, pointsPerChunk: number): Promise<string> {
  const body = { stream_name: 'a run', points_per_chunk: pointsPerChunk };
  const answer = await server.post('/metrology/stream/initialize', body);
  if (answer.status !== 200) throw new Error(answer.text);
  return answer.json.data_id;
}

export async function storeChunk(
  server: TestServer,
  dataId: string,
  channel: string,
  chunkIndex: number,
  readings: Readings,
  key?: string,
): Promise<void> {
  const body = { data_id: dataId, channel_name: channel, chunk_index: chunkIndex, ...readings };
  const answer = await server.post('/metrology/stream/chunk', body, key);
  if (answer.status !== 201) throw new Error(answer.text);
}

/** So many readings a second apart, each the time it was read. */
export function readingsFrom(second: number, points: number): Readings {
  const timestamps = Array.from({ length: points }, (_, i) => second + i);
  return { timestamps, values: timestamps };
}

/** What a content hash is by its documentation, computed anew. */
export function contentHash({ timestamps, values, units }: Readings): Buffer {
  const hash = createHash('sha256').update(encodeFloat8Array(timestamps)).update(encodeFloat8Array(values));
  return (units === undefined ? hash : hash.update(`\0${units}`)).digest();
}

/** A channel of chunks of one point each, made by the database: all below `end` that `where` (SQL over `k`) lets pass. */
export async function fillChannel(server: TestServer, dataId: string, channel: string, end: number, where = 'true') {
  const { pool } = server.owner;
  const organizationId = await organizationOf(server, dataId);
  const { rows } = await pool.query(
    `insert into channels (organization_id, data_id, channel_name, chunk_count, point_count)
     select $4::uuid, $1::uuid, $2::text, count(*), count(*) from generate_series(0, $3::bigint - 1) k where ${where}
     returning channel_id`,
    [dataId, channel, end, organizationId],
  );
  await pool.query(
    `insert into chunks (organization_id, data_id, channel_id, chunk_index, start_offset, key_id, time_min, time_max, point_count,
                         null_count, ascending, content_hash, timestamps, values)
     select $4::uuid, $1::uuid, $2::bigint, k, k, 1, k, k, 1, 0, true, sha256(int8send(k)), array[k::float8], '{1}'
     from generate_series(0, $3::bigint - 1) k where ${where}`,
    [dataId, rows[0].channel_id, end, organizationId],
  );
  return rows[0].channel_id as number;
}
