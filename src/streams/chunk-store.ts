import type pg from 'pg';
import type { Database } from '../database/database.ts';
import { channelKey, type PlacedRow, type Row, type Standing, sliceKey } from './rows.ts';

/*
 * The statements of a flush, each for many rows of any streams; a row carries its organization, which stands in every
 * `where` that finds a stream. Those that take a client belong to the caller's transaction and need the channel locks
 * that lockChannels takes there. All are prepared by name, and float8[] parameters are Buffers in binary format: encoding
 * 100 points so takes below 1 µs, as text 56 µs.
 */

/** What stands at the address of each row, in the order of the rows, read without a lock. */
export async function readAddresses(
  database: Database,
  rows: readonly Row[],
  graceSeconds: number,
): Promise<Standing[]> {
  const result = await database.ingestPool.query<Standing>({
    name: 'read_addresses',
    text: `select s.points_per_chunk as "pointsPerChunk",
                  coalesce(s.finalized_at + make_interval(secs => $5::float8) < clock_timestamp(), false) as closed,
                  c.channel_id as "channelId", c.point_count as "channelPointCount", k.content_hash as "contentHash"
           from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[]) with ordinality
             as r (organization_id, data_id, channel_name, chunk_index, position)
           left join streams s on s.data_id = r.data_id and s.organization_id = r.organization_id
           left join channels c on c.data_id = s.data_id and c.channel_name = r.channel_name
           left join chunks k
             on k.data_id = c.data_id and k.channel_id = c.channel_id and k.chunk_index = r.chunk_index
           order by r.position`,
    values: [
      rows.map(({ item }) => item.organizationId),
      rows.map(({ item }) => item.dataId),
      rows.map(({ channelName }) => channelName),
      rows.map(({ item }) => item.chunkIndex),
      graceSeconds,
    ],
  });
  return result.rows;
}

/** Makes channels that are missing, in one order for everybody, so that two flushes never wait for each other. */
export async function insertChannels(database: Database, rows: readonly Row[]): Promise<void> {
  await database.ingestPool.query({
    name: 'insert_channels',
    text: `insert into channels (data_id, channel_name)
           select s.data_id, r.channel_name
           from unnest($1::uuid[], $2::uuid[], $3::text[]) as r (organization_id, data_id, channel_name)
           join streams s on s.data_id = r.data_id and s.organization_id = r.organization_id
           order by s.data_id, r.channel_name collate "C"
           on conflict do nothing`,
    values: channelParameters(rows),
  });
}

/** The ids of channels by their `channelKey`. */
export async function findChannels(database: Database, rows: readonly Row[]): Promise<Map<string, number>> {
  const result = await database.ingestPool.query<{ data_id: string; channel_name: string; channel_id: number }>({
    name: 'find_channels',
    text: `select c.data_id, c.channel_name, c.channel_id
           from unnest($1::uuid[], $2::uuid[], $3::text[]) as r (organization_id, data_id, channel_name)
           join streams s on s.data_id = r.data_id and s.organization_id = r.organization_id
           join channels c on c.data_id = s.data_id and c.channel_name = r.channel_name`,
    values: channelParameters(rows),
  });
  return new Map(result.rows.map((row) => [channelKey(row.data_id, row.channel_name), row.channel_id]));
}

const channelParameters = (rows: readonly Row[]) => [
  rows.map(({ item }) => item.organizationId),
  rows.map(({ item }) => item.dataId),
  rows.map(({ channelName }) => channelName),
];

const placeParameters = (rows: readonly PlacedRow[]) => [
  rows.map(({ item }) => item.dataId),
  rows.map(({ channelId }) => channelId),
  rows.map(({ item }) => item.chunkIndex),
];

/** Locks the channels of the rows, in the order of their ids, until the transaction ends. */
export async function lockChannels(client: pg.PoolClient, rows: readonly PlacedRow[]): Promise<void> {
  await client.query({
    name: 'lock_channels',
    text: `select from channels c
           where (c.data_id, c.channel_id) in (select * from unnest($1::uuid[], $2::bigint[]))
           order by c.data_id, c.channel_id
           for no key update`,
    values: placeParameters(rows).slice(0, 2),
  });
}

/** Columns of a row of insertChunks: name, type and value. */
const columns: [string, string, (row: PlacedRow) => unknown][] = [
  ['data_id', 'uuid', (row) => row.item.dataId],
  ['channel_id', 'bigint', (row) => row.channelId],
  ['chunk_index', 'bigint', (row) => row.item.chunkIndex],
  ['start_offset', 'bigint', (row) => row.startOffset],
  ['key_id', 'bigint', (row) => row.item.keyId],
  ['time_min', 'float8', (row) => row.image.timeMin],
  ['time_max', 'float8', (row) => row.image.timeMax],
  ['point_count', 'integer', (row) => row.image.pointCount],
  ['null_count', 'integer', (row) => row.image.nullCount],
  ['ascending', 'boolean', (row) => row.image.ascending],
  ['content_hash', 'bytea', (row) => row.image.contentHash],
  ['units', 'text', (row) => row.image.units],
  ['timestamps', 'float8[]', (row) => row.image.timestamps],
  ['values', 'float8[]', (row) => row.image.values],
];
const columnNames = columns.map(([name]) => name).join(', ');

/** `values` lists of 1, 2, 4 … 64 rows: seven prepared statements serve every size, and none grows beyond bounds. */
const statementRowsMax = 64;

function* statementParts(rows: readonly PlacedRow[]): Generator<readonly PlacedRow[]> {
  for (let start = 0; start < rows.length; ) {
    let size = statementRowsMax;
    while (size > rows.length - start) size /= 2;
    yield rows.slice(start, start + size);
    start += size;
  }
}

function valuesList(rowCount: number): string {
  const lists = Array.from({ length: rowCount }, (_, row) => {
    const casts = columns.map(([, type], i) => `$${row * columns.length + i + 1}::${type}`);
    return `(${casts.join(', ')})`;
  });
  return lists.join(', ');
}

const parametersOf = (rows: readonly PlacedRow[]) => rows.flatMap((row) => columns.map(([, , value]) => value(row)));

/** The chunks that a statement has inserted in a channel, and its points after that. */
interface Inserted {
  channelId: number;
  chunkIndexes: number[];
  pointCount: number;
}

/**
 * Inserts the chunks whose slice is free and adds them to the counters of their channels; those whose slice is taken are
 * left alone. A unit counts for the channel when no higher chunk has one.
 * @returns the slices that were inserted, by `sliceKey`, and the points of their channels
 */
export async function insertChunks(
  client: pg.PoolClient,
  rows: readonly PlacedRow[],
): Promise<{ inserted: Set<string>; totals: Map<number, number> }> {
  const parts = [...statementParts(rows)].map((part) =>
    client.query<Inserted>({
      name: `insert_chunks_${part.length}`,
      text: insertText(part.length),
      values: parametersOf(part),
    }),
  );
  const inserted = new Set<string>();
  const totals = new Map<number, number>();
  for (const { rows: channels } of await Promise.all(parts)) {
    for (const { channelId, chunkIndexes, pointCount } of channels) {
      for (const index of chunkIndexes) inserted.add(sliceKey(channelId, index));
      totals.set(channelId, pointCount);
    }
  }
  return { inserted, totals };
}

const insertTexts = new Map<number, string>();

function insertText(rowCount: number): string {
  const known = insertTexts.get(rowCount);
  if (known !== undefined) return known;
  const text = `
    with inserted as (
      insert into chunks (${columnNames}) values ${valuesList(rowCount)}
      on conflict do nothing
      returning data_id, channel_id, chunk_index, point_count, null_count, time_min, time_max, units
    ), growth as (
      select data_id, channel_id, count(*) as chunks, sum(point_count) as points, sum(null_count) as nulls,
             min(time_min) as time_min, max(time_max) as time_max, array_agg(chunk_index) as chunk_indexes,
             max(chunk_index) filter (where units <> '') as units_chunk_index,
             (array_agg(units order by chunk_index desc) filter (where units <> ''))[1] as units
      from inserted group by data_id, channel_id
    )
    update channels c set ${addGrowth}
    from growth g
    where c.data_id = g.data_id and c.channel_id = g.channel_id
    returning c.channel_id as "channelId", g.chunk_indexes::float8[] as "chunkIndexes", c.point_count as "pointCount"`;
  insertTexts.set(rowCount, text);
  return text;
}

const addGrowth = `
  chunk_count = c.chunk_count + g.chunks,
  point_count = c.point_count + g.points,
  null_count = c.null_count + g.nulls,
  time_min = least(c.time_min, g.time_min),
  time_max = greatest(c.time_max, g.time_max),
  units = case when g.units_chunk_index >= coalesce(c.units_chunk_index, -1) then g.units else c.units end,
  units_chunk_index = greatest(c.units_chunk_index, g.units_chunk_index),
  changed_at = clock_timestamp()`;

/** A chunk that stands in a slice, with the counters of its channel. */
export interface StoredChunk {
  channelId: number;
  chunkIndex: number;
  contentHash: Buffer;
  timeMin: number | null;
  timeMax: number | null;
  units: string | null;
  channelPointCount: number;
  channelTimeMin: number | null;
  channelTimeMax: number | null;
}

/** The chunks that stand in the slices of the rows, by `sliceKey`. */
export async function readStoredChunks(
  client: pg.PoolClient,
  rows: readonly PlacedRow[],
): Promise<Map<string, StoredChunk>> {
  const result = await client.query<StoredChunk>({
    name: 'read_stored_chunks',
    text: `select k.channel_id as "channelId", k.chunk_index as "chunkIndex", k.content_hash as "contentHash",
                  k.time_min as "timeMin", k.time_max as "timeMax", k.units, c.point_count as "channelPointCount",
                  c.time_min as "channelTimeMin", c.time_max as "channelTimeMax"
           from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as r (data_id, channel_id, chunk_index)
           join chunks k using (data_id, channel_id, chunk_index)
           join channels c using (data_id, channel_id)`,
    values: placeParameters(rows),
  });
  return new Map(result.rows.map((row) => [sliceKey(row.channelId, row.chunkIndex), row]));
}

/**
 * Replaces chunks whole and corrects the counters of their channels by the difference; span and unit only grow here.
 * @returns the points of their channels
 */
export async function replaceChunks(
  client: pg.PoolClient,
  rows: readonly PlacedRow[],
): Promise<{ channelId: number; pointCount: number }[]> {
  const parts = [...statementParts(rows)].map((part) =>
    client.query<{ channelId: number; pointCount: number }>({
      name: `replace_chunks_${part.length}`,
      text: replaceText(part.length),
      values: parametersOf(part),
    }),
  );
  return (await Promise.all(parts)).flatMap((result) => result.rows);
}

const replacedColumns = columns.slice(3).map(([name]) => `${name} = r.${name}`);

const replaceText = (rowCount: number) => `
  with r (${columnNames}) as (values ${valuesList(rowCount)}),
  before as (
    select k.data_id, k.channel_id, k.chunk_index, k.point_count, k.null_count
    from r join chunks k using (data_id, channel_id, chunk_index)
  ), replaced as (
    update chunks k
    set ${replacedColumns.join(', ')}, changed_at = clock_timestamp(), replaced_count = k.replaced_count + 1
    from r
    where k.data_id = r.data_id and k.channel_id = r.channel_id and k.chunk_index = r.chunk_index
  ), growth as (
    select data_id, channel_id, 0 as chunks, sum(r.point_count - b.point_count) as points,
           sum(r.null_count - b.null_count) as nulls, min(r.time_min) as time_min, max(r.time_max) as time_max,
           max(chunk_index) filter (where r.units <> '') as units_chunk_index,
           (array_agg(r.units order by chunk_index desc) filter (where r.units <> ''))[1] as units
    from r join before b using (data_id, channel_id, chunk_index)
    group by data_id, channel_id
  )
  update channels c set ${addGrowth}
  from growth g
  where c.data_id = g.data_id and c.channel_id = g.channel_id
  returning c.channel_id as "channelId", c.point_count as "pointCount"`;

/** Finds span and unit of the rows' channels anew from all their chunks, after a replacement may have taken them away. */
export async function recountChannels(client: pg.PoolClient, rows: readonly PlacedRow[]): Promise<void> {
  await client.query({
    name: 'recount_channels',
    text: `update channels c
           set time_min = span.time_min, time_max = span.time_max,
               units = newest.units, units_chunk_index = newest.chunk_index
           from (select distinct * from unnest($1::uuid[], $2::bigint[])) as r (data_id, channel_id)
           left join lateral (
             select min(k.time_min) as time_min, max(k.time_max) as time_max
             from chunks k where k.data_id = r.data_id and k.channel_id = r.channel_id
           ) span on true
           left join lateral (
             select k.units, k.chunk_index from chunks k
             where k.data_id = r.data_id and k.channel_id = r.channel_id and k.units <> ''
             order by k.chunk_index desc limit 1
           ) newest on true
           where c.data_id = r.data_id and c.channel_id = r.channel_id`,
    values: placeParameters(rows).slice(0, 2),
  });
}
