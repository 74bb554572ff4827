import { type ChannelAddress, chunksOf } from '../database/channel-address.ts';
import { copyOut, integerLiteral as integer, integersLiteral } from '../database/copy-out.ts';
import { decodeFloat8Array } from '../database/float8-array.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { forEachCopyRow } from '../lib/copy-binary.ts';
import { GrowingBytes } from '../lib/growing-bytes.ts';
import type { FetchChunks } from './channel-source.ts';
import type { ChunkPoints, StoredPoints } from './points.ts';

/*
 * Every function is one short statement on a connection that goes back to the pool before anything of its result is
 * used: a slow client holds no connection, no cursor and no transaction. So a read sees each page as it stands when it is
 * fetched; what that means for chunks that are replaced meanwhile stands in merge.ts.
 */

/**
 * Reads the arrays of some chunks of a channel, in order of index; without values they come empty. Chunks that are gone
 * are missing. The bytes of all pages pass through one buffer, so ask for the next page when the last one has come.
 */
export function chunkReader(organization: OrganizationDatabase, channel: ChannelAddress): FetchChunks {
  const image = new GrowingBytes();
  return async (chunkIndexes, withValues) => {
    const page = await copyOut(
      organization,
      chunksAt(organization, channel, chunkIndexes, `chunk_index, timestamps${withValues ? ', values' : ''}`),
      image,
    );
    const chunks: ChunkPoints[] = [];
    forEachCopyRow(page, (row) =>
      chunks.push({
        chunkIndex: row.int8(0),
        times: decodeFloat8Array(row.bytes(1)),
        values: withValues ? decodeFloat8Array(row.bytes(2)) : noValues,
      }),
    );
    return chunks;
  };
}

/** Some chunks as they are stored, in order of index. */
export async function readStoredChunks(
  organization: OrganizationDatabase,
  channel: ChannelAddress,
  chunkIndexes: readonly number[],
): Promise<StoredPoints[]> {
  const image = await copyOut(
    organization,
    chunksAt(organization, channel, chunkIndexes, 'chunk_index, timestamps, values, start_offset, units'),
  );
  const chunks: StoredPoints[] = [];
  forEachCopyRow(image, (row) =>
    chunks.push({
      chunkIndex: row.int8(0),
      times: decodeFloat8Array(row.bytes(1)),
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
  organization: OrganizationDatabase,
  channel: ChannelAddress,
  chunkIndexes: readonly number[],
  columns: string,
): string {
  const first = chunkIndexes[0] as number;
  const last = first + chunkIndexes.length - 1;
  const those = `select ${columns} from chunks where ${chunksOf(organization, channel)}`;
  const isRun = chunkIndexes.every((chunkIndex, i) => chunkIndex === first + i);
  if (isRun) return `${those} and chunk_index between ${integer(first)} and ${integer(last)} order by chunk_index`;
  return `select chunk.* from unnest(${integersLiteral(chunkIndexes)}) as listed (listed_index)
    cross join lateral (${those} and chunk_index = listed_index limit 1) as chunk order by chunk.chunk_index`;
}
