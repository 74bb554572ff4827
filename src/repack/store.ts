import type pg from 'pg';
import {
  type ContentKey,
  type ContentTable,
  contentKeyColumns,
  contentPageSql,
  pageParameters,
  revisionOf,
} from '../database/contents.ts';
import type { Database } from '../database/database.ts';
import { totalSizeFunction } from '../database/distribution.ts';
import { beginPacking } from '../database/packing.ts';
import { contentHashOf, seriesAsSent } from '../database/stored-series.ts';
import type { SeriesColumns } from './columns.ts';

/*
 * Statements of the command `repack`, on the data of all organizations: no route reaches them. A row is read without a
 * lock. It is written under the lock of its channel, and only if it still holds what was read.
 */

/** A row, and whether one of its series is stored unpacked. */
export interface ListedRow extends ContentKey {
  pointCount: number;
  isSent: boolean;
}

/** A row whose content has been read. A series that is packed already is null; the others are binary float8[]. */
export interface ReadRow extends ContentKey {
  /** Null where the channel is gone. */
  channelName: string | null;
  contentHash: Buffer;
  /** Its hash and its count of points match its content. */
  isWhole: boolean;
  timestamps: Buffer | null;
  values: Buffer | null;
}

/** A row and the packed series to write. A series that stays as it is has no columns. */
export interface PackedRow extends ReadRow {
  times: SeriesColumns | undefined;
  readings: SeriesColumns | undefined;
}

/** Whether rows may be packed: no connected session is unable to read them. Lets packing begin, as a server does. */
export const mayPack = (database: Database): Promise<boolean> => beginPacking(database.everyOrganization.upkeep.pool);

const isSent = `(k.timestamps is not null or k."values" is not null)`;

/** The next rows in order of their keys, without reading their arrays. */
export async function listRows(
  database: Database,
  table: ContentTable,
  after: ContentKey,
  limit: number,
): Promise<ListedRow[]> {
  const { rows } = await database.everyOrganization.upkeep.pool.query<ListedRow>(
    `select ${contentKeyColumns(table)}, k.point_count as "pointCount", ${isSent} as "isSent" from ${table} k ${contentPageSql(table)}`,
    pageParameters(after, limit),
  );
  return rows;
}

/** Reads those of the listed rows, all of one channel, that still have an unpacked series. */
export async function readRows(
  database: Database,
  table: ContentTable,
  keys: readonly ContentKey[],
): Promise<ReadRow[]> {
  const { dataId, channelId } = keys[0] as ContentKey;
  const { rows } = await database.everyOrganization.upkeep.pool.query<ReadRow>(
    `select ${contentKeyColumns(table)}, c.channel_name as "channelName", k.content_hash as "contentHash",
            k.content_hash = ${contentHashOf('k', 'a')}
              and k.point_count = cardinality(a.timestamps) and k.point_count = cardinality(a."values") as "isWhole",
            array_send(k.timestamps) as timestamps, array_send(k."values") as "values"
     from unnest($3::bigint[], $4::integer[]) as listed (chunk_index, revision)
     cross join lateral (
       select * from ${table} k
       where k.data_id = $1::uuid and k.channel_id = $2::bigint and k.chunk_index = listed.chunk_index
         and ${revisionOf[table]} = listed.revision limit 1
     ) k
     left join channels c on c.data_id = $1::uuid and c.channel_id = k.channel_id
     cross join lateral ${seriesAsSent('k')} a
     where ${isSent}`,
    [dataId, channelId, keys.map(({ chunkIndex }) => chunkIndex), keys.map(({ revision }) => revision)],
  );
  return rows;
}

/**
 * Locks a channel for the transaction, as its writers do (docs/decisions/0001-lock-channels-first.md).
 * @returns false where the channel is gone
 * @throws 55P03 when another session holds it, or later a row, for longer than `lockMsMax`
 */
export async function lockChannel(
  client: pg.PoolClient,
  { dataId, channelId }: ContentKey,
  lockMsMax: number,
): Promise<boolean> {
  await client.query(`select set_config('lock_timeout', $1::text, true)`, [String(lockMsMax)]);
  const { rowCount } = await client.query(
    'select from channels where data_id = $1::uuid and channel_id = $2::bigint for no key update',
    [dataId, channelId],
  );
  return rowCount !== 0;
}

/**
 * Writes the stored form of the series of a row and nothing else. So this is no replacement: neither the time nor the
 * hash of the row changes.
 * @returns false where the row has other content by now, is packed already, or is gone
 */
export async function writeRow(client: pg.PoolClient, table: ContentTable, row: PackedRow): Promise<boolean> {
  const { rowCount } = await client.query({
    name: `repack_${table}`,
    text: writeSql(table),
    values: [
      row.dataId,
      row.channelId,
      row.chunkIndex,
      row.revision,
      row.contentHash,
      ...[row.times, row.readings].flatMap((series) =>
        series === undefined
          ? [null, null, null, null, null]
          : [series.exponent, series.base, series.step || null, series.residuals, series.rest],
      ),
    ],
  });
  return rowCount !== 0;
}

const writeSql = (table: ContentTable) => `
  update ${table} k set ${seriesSql('timestamps', 'time', 6)}, ${seriesSql('"values"', 'value', 11)}
  where k.data_id = $1::uuid and k.channel_id = $2::bigint and k.chunk_index = $3::bigint
    and ${revisionOf[table]} = $4::integer and k.content_hash = $5::bytea and ${isSent}`;

/** Sets a series from five parameters, or keeps it where the first of them is NULL. */
function seriesSql(array: string, series: string, first: number): string {
  const exponent = `$${first}::smallint`;
  const unlessKept = (column: string, packed: string) =>
    `${series}_${column} = case when ${exponent} is null then k.${series}_${column} else ${packed} end`;
  return [
    `${array} = case when ${exponent} is null then k.${array} end`,
    unlessKept('exponent', exponent),
    unlessKept('base', `$${first + 1}::bigint`),
    unlessKept('step', `$${first + 2}::bigint`),
    unlessKept('residuals', `$${first + 3}::bytea`),
    unlessKept('rest', `$${first + 4}::bytea`),
  ].join(', ');
}

/** Decodes rows of one channel after they were written. @returns those whose content has another hash than before */
export async function findUnproven<Row extends ContentKey>(
  client: pg.PoolClient,
  table: ContentTable,
  written: readonly Row[],
): Promise<Row[]> {
  const { dataId, channelId } = written[0] as Row;
  const { rows } = await client.query<{ position: number }>({
    name: `prove_${table}`,
    text: `
      select listed.position
      from unnest($3::bigint[], $4::integer[]) with ordinality as listed (chunk_index, revision, position)
      cross join lateral (
        select * from ${table} k
        where k.data_id = $1::uuid and k.channel_id = $2::bigint and k.chunk_index = listed.chunk_index
          and ${revisionOf[table]} = listed.revision limit 1
      ) k
      cross join lateral ${seriesAsSent('k')} a
      where k.content_hash = ${contentHashOf('k', 'a')}`,
    values: [dataId, channelId, written.map(({ chunkIndex }) => chunkIndex), written.map(({ revision }) => revision)],
  });
  const proven = new Set(rows.map(({ position }) => position));
  return written.filter((_, i) => !proven.has(i + 1));
}

/** Bytes of both tables with their indexes, as the file system sees them. */
export async function tableBytes(database: Database): Promise<number> {
  const size = totalSizeFunction(await database.isDistributed());
  const { rows } = await database.everyOrganization.upkeep.pool.query<{ bytes: number }>(
    `select ${size}('chunks') + ${size}('chunk_revisions') as bytes`,
  );
  return rows[0]?.bytes as number;
}

/** About how many rows there are; chunks are counted by the counters of channels. */
export async function estimateRows(database: Database): Promise<number> {
  const { rows } = await database.everyOrganization.upkeep.pool.query<{ count: number }>(
    `select (select coalesce(sum(chunk_count), 0) from channels)::bigint + (select count(*) from chunk_revisions) as count`,
  );
  return rows[0]?.count as number;
}
