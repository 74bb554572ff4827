import type { Access } from '../database/access.ts';
import { type ChannelAddress, chunksOf } from '../database/channel-address.ts';
import { copyOut, integerLiteral as integer, integersLiteral } from '../database/copy-out.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import {
  decodeSeries,
  readSeries,
  type StoredSeries,
  seriesFields,
  timesColumns,
  valuesColumns,
} from '../database/stored-series.ts';
import { type CopyRow, forEachCopyRow } from '../lib/copy-binary.ts';
import type { GrowingBytes } from '../lib/growing-bytes.ts';
import type { Reading } from '../lib/reading.ts';
import type { FetchChunks, SeriesOfChunk } from './channel-source.ts';
import type { ChunkPoints, StoredPoints } from './points.ts';

/*
 * Every function is one short statement, and its connection goes back to the pool before the result is used. So a slow
 * client holds no connection, no cursor and no transaction. A read therefore sees each page as it is at the time of its
 * fetch; merge.ts says what that means for chunks that are replaced meanwhile.
 */

/** What a fetch works with. */
export interface FetchDependencies {
  /** The buffer that all pages of a read share: ask for the next page only when the last one has come. */
  image: GrowingBytes;
  rest: Reading['rest'];
}

/**
 * Reads the arrays of some chunks of a channel, in order of index. Without `withValues` the values are empty. Chunks that
 * are gone are left out.
 */
export function chunkReader(
  organization: OrganizationDatabase,
  channel: ChannelAddress,
  deps: FetchDependencies,
): FetchChunks {
  return async (chunkIndexes, withValues, pointCount) => {
    const columns = ['chunk_index', 'point_count', ...timesColumns, ...(withValues ? valuesColumns : [])];
    const text = chunksAt(organization, channel, chunkIndexes, columns.join(', '));
    return fetch(organization, text, deps, pointCount, (row) => ({
      chunkIndex: row.int8(0),
      times: readSeries(row, 2, row.int4(1)),
      values: withValues ? readSeries(row, 2 + seriesFields, row.int4(1)) : undefined,
    }));
  };
}

/** Reads the series of some chunks as they are stored. They are valid until something else is read into the same image. */
export function seriesReader(
  organization: OrganizationDatabase,
  channel: ChannelAddress,
  deps: FetchDependencies,
): FetchChunks<SeriesOfChunk> {
  return async (chunkIndexes, _withValues, pointCount) => {
    const columns = ['chunk_index', 'point_count', ...timesColumns, ...valuesColumns];
    const text = chunksAt(organization, channel, chunkIndexes, columns.join(', '));
    return fetchRaw(organization, text, deps, pointCount, (row) => ({
      chunkIndex: row.int8(0),
      times: readSeries(row, 2, row.int4(1)),
      values: readSeries(row, 2 + seriesFields, row.int4(1)),
    }));
  };
}

/** Reads some chunks as they are stored, in order of index. */
export function storedChunkReader(
  organization: OrganizationDatabase,
  channel: ChannelAddress,
  deps: FetchDependencies,
): FetchChunks<StoredPoints> {
  return async (chunkIndexes, _withValues, pointCount) => {
    const columns = ['chunk_index', 'point_count', 'start_offset', 'units', ...timesColumns, ...valuesColumns];
    const text = chunksAt(organization, channel, chunkIndexes, columns.join(', '));
    return fetch(organization, text, deps, pointCount, (row) => ({
      chunkIndex: row.int8(0),
      startOffset: row.int8(2),
      units: row.isNull(3) ? null : row.text(3),
      times: readSeries(row, 4, row.int4(1)),
      values: readSeries(row, 4 + seriesFields, row.int4(1)),
    }));
  };
}

/** A chunk whose series are not decoded yet. */
type Raw<Chunk> = Omit<Chunk, 'times' | 'values'> & { times: StoredSeries; values: StoredSeries | undefined };

async function fetch<Chunk extends ChunkPoints>(
  access: Access,
  text: string,
  deps: FetchDependencies,
  pointCount: number,
  read: (row: CopyRow) => Raw<Chunk>,
): Promise<Chunk[]> {
  const { rest } = deps;
  const raw = await fetchRaw(access, text, deps, pointCount, read);
  const chunks: Chunk[] = [];
  let isLong = true;
  const decode = async (series: StoredSeries) => {
    if (isLong) await rest();
    isLong = series.pointCount > longSeriesPoints;
    return decodeSeries(series);
  };
  for (const { times, values, ...more } of raw) {
    chunks.push({
      ...more,
      times: await decode(times),
      values: values === undefined ? noValues : await decode(values),
    } as unknown as Chunk);
  }
  return chunks;
}

async function fetchRaw<Row>(
  access: Access,
  text: string,
  { image, rest }: FetchDependencies,
  pointCount: number,
  read: (row: CopyRow) => Row,
): Promise<Row[]> {
  await rest();
  image.reserve(pointCount * pointBytes);
  const rows: Row[] = [];
  forEachCopyRow(await copyOut(access, text, image), (row) => rows.push(read(row)));
  // The rows still refer to the buffer that the image had before.
  image.shrink(keptBytes);
  return rows;
}

/** Bytes of a point in PostgreSQL's format: a length and a float64, for time and for value. Packed points take less. */
const pointBytes = 24;
/** A series longer than this takes a few ms to decode. */
const longSeriesPoints = 100_000;
/** Size of the buffer that is kept from page to page. A longer chunk gets a buffer of its own. */
const keptBytes = 2 * 1024 * 1024;
const noValues = new Float64Array(0);

/**
 * The statement that reads some chunks in order of index. Indexes without gaps become a range. Other indexes are listed,
 * and each is looked up by its whole key: with `= any (…)` PostgreSQL 15 may walk through the whole channel in order of the
 * key.
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
