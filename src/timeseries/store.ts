import { type ChannelAddress, chunksOf } from '../database/channel-address.ts';
import { copyOut, integerLiteral as integer, integersLiteral } from '../database/copy-out.ts';
import type { Database } from '../database/database.ts';
import { decodeFloat8Array } from '../database/float8-array.ts';
import { notFound } from '../errors.ts';
import { forEachCopyRow } from '../lib/copy-binary.ts';
import { GrowingBytes } from '../lib/growing-bytes.ts';

/*
 * Every function is one short statement on a connection that goes back to the pool before anything of its result is
 * used: a slow client holds no connection, no cursor and no transaction. So a read sees each page as it stands when it is fetched;
 * what that means for chunks that are replaced meanwhile stands in point-reader.ts.
 */

export interface StreamHead {
  data_id: string;
  points_per_chunk: number;
}

/** A channel with its exact counters; time_min and time_max in Unix seconds, null while no point has a possible time. */
export interface ChannelHead {
  channel_id: number;
  channel_name: string;
  units: string | null;
  chunk_count: number;
  point_count: number;
  time_min: number | null;
  time_max: number | null;
  /** When a chunk of it was last stored or replaced, ISO 8601. */
  changed_at: string;
}

/** Seconds and readings of one chunk in their stored order; NaN stands for NULL. */
export interface ChunkArrays {
  chunkIndex: number;
  timestamps: Float64Array;
  values: Float64Array;
}

/** A chunk with what the raw read shows besides. */
export interface StoredChunk extends ChunkArrays {
  startOffset: number;
  units: string | null;
}

/** @throws ApiError 404 for an id that is unknown or of another organization */
export async function findStream(database: Database, organizationId: string, dataId: string): Promise<StreamHead> {
  const { rows } = await database.as(organizationId).pool.query<StreamHead>({
    name: 'find_stream_to_read',
    text: `select data_id, points_per_chunk from streams
           where data_id = $1::uuid and organization_id = $2::uuid and deleted_at is null`,
    values: [dataId, organizationId],
  });
  if (rows[0] === undefined) throw notFound('data_id');
  return rows[0];
}

/** What a stream was measured with, as far as it is known: its growth instrument, or the kind of it. */
export async function findSystem(database: Database, organizationId: string, dataId: string): Promise<string | null> {
  const { rows } = await database.as(organizationId).pool.query<{ system: string | null }>(
    `select coalesce(i.source_name, s.instrument_type) as system
     from streams s
     left join growth_instruments i on i.synth_source_id = s.synth_source_id and i.organization_id = s.organization_id
     where s.data_id = $1::uuid and s.organization_id = $2::uuid`,
    [dataId, organizationId],
  );
  return rows[0]?.system ?? null;
}

/** The channels of a stream that hold points, by name in the order of code points. */
export async function listChannels(database: Database, organizationId: string, dataId: string): Promise<ChannelHead[]> {
  const { rows } = await database.as(organizationId).pool.query<ChannelHead>({
    name: 'list_channels_to_read',
    text: `select c.channel_id, c.channel_name, c.units, c.chunk_count, c.point_count, c.time_min, c.time_max,
                  c.changed_at
           from channels c join streams s on s.data_id = c.data_id
           where c.data_id = $1::uuid and s.organization_id = $2::uuid and c.point_count > 0
           order by c.channel_name collate "C"`,
    values: [dataId, organizationId],
  });
  return rows;
}

/**
 * Reads the arrays of some chunks of a channel, in order of index; without values they come empty. Chunks that are gone
 * are missing. The bytes of all pages pass through one buffer, so ask for the next page when the last one has come.
 */
export function chunkReader(database: Database, organizationId: string, channel: ChannelAddress) {
  const image = new GrowingBytes();
  return async (chunkIndexes: readonly number[], withValues: boolean): Promise<ChunkArrays[]> => {
    const page = await copyOut(
      database.as(organizationId),
      chunksAt(organizationId, channel, chunkIndexes, `chunk_index, timestamps${withValues ? ', values' : ''}`),
      image,
    );
    const chunks: ChunkArrays[] = [];
    forEachCopyRow(page, (row) =>
      chunks.push({
        chunkIndex: row.int8(0),
        timestamps: decodeFloat8Array(row.bytes(1)),
        values: withValues ? decodeFloat8Array(row.bytes(2)) : noValues,
      }),
    );
    return chunks;
  };
}

/** Some chunks as they are stored, in order of index. */
export async function readStoredChunks(
  database: Database,
  organizationId: string,
  channel: ChannelAddress,
  chunkIndexes: readonly number[],
): Promise<StoredChunk[]> {
  const image = await copyOut(
    database.as(organizationId),
    chunksAt(organizationId, channel, chunkIndexes, 'chunk_index, timestamps, values, start_offset, units'),
  );
  const chunks: StoredChunk[] = [];
  forEachCopyRow(image, (row) =>
    chunks.push({
      chunkIndex: row.int8(0),
      timestamps: decodeFloat8Array(row.bytes(1)),
      values: decodeFloat8Array(row.bytes(2)),
      startOffset: row.int8(3),
      units: row.isNull(4) ? null : row.text(4),
    }),
  );
  return chunks;
}

const noValues = new Float64Array(0);

/**
 * The statement that reads some chunks in order of index. A run without gaps is a range; anything else is listed, and each
 * looked up by its whole key: by `= any (…)` PostgreSQL 15 may go through the whole channel in order of the key.
 */
function chunksAt(
  organizationId: string,
  channel: ChannelAddress,
  chunkIndexes: readonly number[],
  columns: string,
): string {
  const first = chunkIndexes[0] as number;
  const last = first + chunkIndexes.length - 1;
  const those = `select ${columns} from chunks where ${chunksOf(organizationId, channel)}`;
  const isRun = chunkIndexes.every((chunkIndex, i) => chunkIndex === first + i);
  if (isRun) return `${those} and chunk_index between ${integer(first)} and ${integer(last)} order by chunk_index`;
  return `select chunk.* from unnest(${integersLiteral(chunkIndexes)}) as listed (listed_index)
    cross join lateral (${those} and chunk_index = listed_index limit 1) as chunk order by chunk.chunk_index`;
}
