import type pg from 'pg';
import type { Database } from '../database/database.ts';
import { notFound } from '../errors.ts';
import { channelKey, type PlacedRow, type Row } from './rows.ts';

/* The statements of a flush that deal with channels alone, each for many rows of any streams. */

/**
 * Makes channels that are missing, in one order for everybody, so that two flushes never wait for each other.
 * @throws ApiError 404 when a stream has been removed since it was looked up
 */
export async function insertChannels(database: Database, rows: readonly Row[]): Promise<void> {
  const inserted = database.ingestPool.query({
    name: 'insert_channels',
    text: `insert into channels (organization_id, data_id, channel_name)
           select s.organization_id, s.data_id, r.channel_name
           from unnest($1::uuid[], $2::uuid[], $3::text[]) as r (organization_id, data_id, channel_name)
           join streams s
             on s.data_id = r.data_id and s.organization_id = r.organization_id and s.deleted_at is null
           order by s.data_id, r.channel_name collate "C"
           on conflict do nothing`,
    values: channelParameters(rows),
  });
  await inserted.catch((error: { code?: string }) => {
    throw error.code === foreignKeyViolation ? notFound('Stream') : error;
  });
}

const foreignKeyViolation = '23503';

/** The ids of channels by their `channelKey`. */
export async function findChannels(database: Database, rows: readonly Row[]): Promise<Map<string, number>> {
  const result = await database.ingestPool.query<{ data_id: string; channel_name: string; channel_id: number }>({
    name: 'find_channels',
    // `limit` makes the look-up go by the whole key, as in readAddresses.
    text: `select c.data_id, c.channel_name, c.channel_id
           from unnest($1::uuid[], $2::uuid[], $3::text[]) as r (organization_id, data_id, channel_name)
           join streams s
             on s.data_id = r.data_id and s.organization_id = r.organization_id and s.deleted_at is null
           cross join lateral (
             select * from channels where data_id = r.data_id and channel_name = r.channel_name limit 1
           ) c`,
    values: channelParameters(rows),
  });
  return new Map(result.rows.map((row) => [channelKey(row.data_id, row.channel_name), row.channel_id]));
}

const channelParameters = (rows: readonly Row[]) => [
  rows.map(({ item }) => item.organizationId),
  rows.map(({ item }) => item.dataId),
  rows.map(({ channelName }) => channelName),
];

/** A row of each channel, in the order in which everybody locks them. */
function rowOfEachChannel(rows: readonly PlacedRow[]): PlacedRow[] {
  const byChannel = new Map(rows.map((row) => [row.channelId, row]));
  return [...byChannel.values()].sort((one, other) => one.channelId - other.channelId);
}

/**
 * Locks the channels of the rows, in the order of their ids, until the transaction ends.
 * @throws ApiError 404 when one is gone with its stream, or of another organization; then nothing that is sent after it in
 * the transaction is stored
 */
export function lockChannels(client: pg.PoolClient, rows: readonly PlacedRow[]): Promise<void> {
  return lockAll(client, rows, { name: 'lock_channels', text: lockSql('') }, []);
}

/** As lockChannels, of streams that still take chunks. @throws ApiError 404 also when one does not */
export function lockOpenChannels(
  client: pg.PoolClient,
  rows: readonly PlacedRow[],
  graceSeconds: number,
): Promise<void> {
  return lockAll(client, rows, { name: 'lock_open_channels', text: lockSql(whoseStreamIsOpen) }, [graceSeconds]);
}

const whoseStreamIsOpen = `
  cross join lateral (
    select from streams
    where data_id = c.data_id and deleted_at is null
      and (finalized_at is null or finalized_at + make_interval(secs => $3::float8) >= clock_timestamp())
    limit 1
  ) s`;

// The division fails the transaction by itself, before anybody has read how many were locked.
const lockSql = (condition: string) => `
  select 1 / (count(*) = cardinality($1::bigint[]))::integer
  from (
    select from unnest($1::bigint[], $2::uuid[]) as r (channel_id, organization_id)
    cross join lateral (
      select data_id from channels where channel_id = r.channel_id and organization_id = r.organization_id
      limit 1 for no key update
    ) c
    ${condition}
  ) locked`;

async function lockAll(
  client: pg.PoolClient,
  rows: readonly PlacedRow[],
  statement: { name: string; text: string },
  more: unknown[],
): Promise<void> {
  const channels = rowOfEachChannel(rows);
  const ids = channels.map(({ channelId }) => channelId);
  const organizations = channels.map(({ item }) => item.organizationId);
  const locked = client.query({ ...statement, values: [ids, organizations, ...more] });
  await locked.catch((error: { code?: string }) => {
    throw error.code === divisionByZero ? notFound('Stream') : error;
  });
}

const divisionByZero = '22012';

/** Finds span and unit of the rows' channels anew from all their chunks, after a replacement may have taken them away. */
export async function recountChannels(client: pg.PoolClient, rows: readonly PlacedRow[]): Promise<void> {
  await client.query({
    name: 'recount_channels',
    text: `update channels c
           set time_min = span.time_min, time_max = span.time_max,
               units = newest.units, units_chunk_index = newest.chunk_index
           from unnest($1::bigint[]) as r (channel_id)
           cross join lateral (
             select ctid, data_id from channels where channel_id = r.channel_id limit 1
           ) as found
           left join lateral (
             select min(k.time_min) as time_min, max(k.time_max) as time_max
             from chunks k where k.data_id = found.data_id and k.channel_id = r.channel_id
           ) span on true
           left join lateral (
             select k.units, k.chunk_index from chunks k
             where k.data_id = found.data_id and k.channel_id = r.channel_id and k.units is not null
             order by k.chunk_index desc limit 1
           ) newest on true
           where c.ctid = found.ctid`,
    values: [rowOfEachChannel(rows).map(({ channelId }) => channelId)],
  });
}
