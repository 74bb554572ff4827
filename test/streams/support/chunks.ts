import { pointsOfChunk, timestampsOfChunk, valuesOfChunk } from '../../../src/database/stored-series.ts';
import type { TestServer } from '../../support/test-server.ts';

export interface ChunkOptions {
  prefix?: string;
  units?: string | null;
  timestamps?: (number | null)[];
  key?: string | null;
}

export const prefixes = ['/metrology/stream', '/tool-state/stream', '/instrument-timeseries'];

/** Opens a stream and returns its data_id. */
export async function openStream(server: TestServer, fields: Record<string, unknown> = {}): Promise<string> {
  const answer = await server.post('/tool-state/stream/initialize', { points_per_chunk: 3, ...fields });
  if (answer.status !== 200) throw new Error(`initialize answered ${answer.status}: ${answer.text}`);
  return answer.json.data_id;
}

/** A chunk body whose timestamps are whole seconds that go on from chunk to chunk. */
export function chunkBody(
  dataId: string,
  chunkIndex: number,
  channelName: string,
  values: (number | null)[],
  { units, timestamps }: ChunkOptions = {},
) {
  return {
    data_id: dataId,
    chunk_index: chunkIndex,
    channel_name: channelName,
    timestamps: timestamps ?? values.map((_, i) => 1_700_000_000 + chunkIndex * 3 + i),
    values,
    ...(units !== undefined && { units }),
  };
}

export interface StoredRow {
  channel_name: string;
  chunk_index: number;
  start_offset: number;
  point_count: number;
  null_count: number;
  replaced_count: number;
  time_min: number | null;
  time_max: number | null;
  ascending: boolean;
  value_min: number | null;
  value_min_time: number | null;
  value_max: number | null;
  value_max_time: number | null;
  units: string | null;
  timestamps: (number | null)[];
  values: (number | null)[];
  xmin: string;
}

/** The chunks of a stream as they stand in the table, in order. */
export async function storedChunks(server: TestServer, dataId: string): Promise<StoredRow[]> {
  const { rows } = await server.owner.pool.query(
    `select c.channel_name, k.*, ${timestampsOfChunk('k')} as timestamps, ${valuesOfChunk('k')} as "values", k.xmin::text
     from chunks k
     join channels c on c.data_id = k.data_id and c.channel_id = k.channel_id
     where k.data_id = $1::uuid order by c.channel_name collate "C", k.chunk_index`,
    [dataId],
  );
  return rows;
}

export interface ChannelRow {
  channel_name: string;
  chunk_count: number;
  point_count: number;
  null_count: number;
  time_min: number | null;
  time_max: number | null;
  units: string | null;
}

export async function channelRows(server: TestServer, dataId: string): Promise<ChannelRow[]> {
  const { rows } = await server.owner.pool.query(
    `select channel_name, chunk_count, point_count, null_count, time_min, time_max, units from channels
     where data_id = $1::uuid order by channel_name collate "C"`,
    [dataId],
  );
  return rows;
}

/** What the counters of a stream must be, counted from its chunks by PostgreSQL itself. */
export async function recountedChannels(server: TestServer, dataId: string): Promise<ChannelRow[]> {
  const { rows } = await server.owner.pool.query(
    `select c.channel_name, count(k.*) as chunk_count,
            coalesce(sum(a.points), 0)::bigint as point_count, coalesce(sum(a.nulls), 0)::bigint as null_count,
            min(a.time_min) as time_min, max(a.time_max) as time_max,
            (array_agg(k.units order by k.chunk_index desc) filter (where k.units is not null))[1] as units
     from channels c left join chunks k on k.data_id = c.data_id and k.channel_id = c.channel_id
     left join lateral (
       select count(*) as points, count(*) - count(p.value) as nulls, min(p.seconds) as time_min, max(p.seconds) as time_max
       from ${pointsOfChunk('k')} p
     ) a on true
     where c.data_id = $1::uuid group by c.channel_name order by c.channel_name collate "C"`,
    [dataId],
  );
  return rows;
}
