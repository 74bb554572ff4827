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
 * Every function is one short statement on a connection that goes back to the pool before anything of its result is
 * used: a slow client holds no connection, no cursor and no transaction. So a read sees each page as it stands when it is
 * fetched; what that means for chunks that are replaced meanwhile stands in merge.ts.
 */

/** How arrays are fetched. */
export interface FetchDependencies {
  /** All pages of a read pass through it, so ask for the next page when the last one has come. */
  image: GrowingBytes;
  rest: Reading['rest'];
}

/**
 * Reads the arrays of some chunks of a channel, in order of index; without values they come empty. Chunks that are gone
 * are missing.
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

/** Reads the series of some chunks as they are stored; they are valid until something else is read into the image. */
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

/** A chunk whose series are still as they are stored. */
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
  // The rows still have what it had.
  image.shrink(keptBytes);
  return rows;
}

/** Bytes of a point in PostgreSQL's format: a length and a float64, twice. Packed ones take less. */
const pointBytes = 24;
/** Series of this length take a few ms each to decode. */
const longSeriesPoints = 100_000;
/** Room that is kept from page to page; a longer chunk has room of its own. */
const keptBytes = 2 * 1024 * 1024;
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
