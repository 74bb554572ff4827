import type pg from 'pg';
import { textArray } from '../database/array-literal.ts';
import { bigintArray, uuidArray } from '../database/binary-array.ts';
import { hasSqlstate, sqlstates } from '../database/sqlstates.ts';
import { inOneStatement, inOneTrip } from '../database/transactions.ts';
import { notFound } from '../errors.ts';
import type { FlushDependencies } from './flush-dependencies.ts';
import { channelKey, type KnownRow, type Row } from './ingest-rows.ts';
import { type Differences, type Form, inForm, inTwoForms } from './statement-forms.ts';

/* The statements of a flush that deal with channels alone, each for many rows of any streams. */

/**
 * Creates the channels that are missing. Every flush does so in the same order, so that two flushes never deadlock.
 * @throws ApiError 404 when a stream has been removed since it was looked up
 */
export async function insertChannels(
  { pool, patience, form }: Pick<FlushDependencies, 'pool' | 'patience' | 'form'>,
  rows: readonly Row[],
): Promise<void> {
  const statement = inForm(insertStatement, form, channelParameters(rows), rows);
  const inserted = inOneTrip<[unknown]>(pool, (client) => [client.query(statement)], patience);
  await inserted.catch((error: unknown) => {
    throw hasSqlstate(error, sqlstates.foreignKeyViolation) ? notFound('Stream') : error;
  });
}

// Citus sends a statement that begins with `with` to the node as it is. It would fetch the rows of a mere `insert … select`
// and send them back, in a way that policies forbid.
const insertStatement = inTwoForms(
  'insert_channels',
  3,
  ({ and }) => `
  with made as (
    insert into channels (organization_id, data_id, channel_name)
    select s.organization_id, s.data_id, r.channel_name
    from unnest($1::uuid[], $2::uuid[], $3::text[]) as r (organization_id, data_id, channel_name)
    join streams s
      on s.data_id = r.data_id and s.organization_id = r.organization_id and s.deleted_at is null ${and('s.data_id')}
    order by s.data_id, r.channel_name collate "C"
    on conflict do nothing returning channel_id
  )
  select count(*) from made`,
);

/** The ids of channels by their `channelKey`. */
export async function findChannels(
  { pool, patience, form }: Pick<FlushDependencies, 'pool' | 'patience' | 'form'>,
  rows: readonly Row[],
): Promise<Map<string, number>> {
  const statement = inForm(findStatement, form, channelParameters(rows), rows);
  const result = await inOneStatement<{ data_id: string; channel_name: string; channel_id: number }>(
    pool,
    statement,
    patience,
  );
  return new Map(result.rows.map((row) => [channelKey(row.data_id, row.channel_name), row.channel_id]));
}

// `limit` makes PostgreSQL look up each row by the whole key, as in readAddresses.
const findStatement = inTwoForms(
  'find_channels',
  3,
  ({ and }) => `
  select c.data_id, c.channel_name, c.channel_id
  from unnest($1::uuid[], $2::uuid[], $3::text[]) as r (organization_id, data_id, channel_name)
  join streams s
    on s.data_id = r.data_id and s.organization_id = r.organization_id and s.deleted_at is null ${and('s.data_id')}
  cross join lateral (
    select * from channels where data_id = r.data_id and channel_name = r.channel_name ${and('data_id')} limit 1
  ) c`,
);

/**
 * Finds the rows whose channel another session has locked now. Locks the channels of the other rows while the statement
 * runs.
 * @returns their indexes in `rows`
 */
export async function findHeldRows(
  { pool, patience, form }: Pick<FlushDependencies, 'pool' | 'patience' | 'form'>,
  rows: readonly Row[],
): Promise<Set<number>> {
  const statement = inForm(findHeldStatement, form, channelParameters(rows), rows);
  const [{ rows: found }] = await inOneTrip<[pg.QueryResult<{ number: number }>]>(
    pool,
    (client) => [client.query(statement)],
    patience,
  );
  return new Set(found.map(({ number }) => number));
}

const findHeldStatement = inTwoForms(
  'find_held_rows',
  3,
  ({ and }) => `
  select (r.position - 1)::integer as number
  from unnest($1::uuid[], $2::uuid[], $3::text[]) with ordinality
    as r (organization_id, data_id, channel_name, position)
  cross join lateral (
    select channel_id from channels
    where data_id = r.data_id and channel_name = r.channel_name and organization_id = r.organization_id
      ${and('data_id')} limit 1
  ) c
  left join lateral (
    select channel_id from channels where channel_id = c.channel_id ${and('data_id')} limit 1
    for no key update skip locked
  ) free on true
  where free.channel_id is null`,
);

const channelParameters = (rows: readonly Row[]) => [
  uuidArray(rows.map(({ item }) => item.organizationId)),
  uuidArray(rows.map(({ item }) => item.dataId)),
  textArray(rows.map(({ channelName }) => channelName)),
];

/** One row for each channel, in the order in which every transaction locks channels. */
function rowOfEachChannel(rows: readonly KnownRow[]): KnownRow[] {
  // The key is the name: two channels can have one id if one is remembered from a database that has since been
  // replaced.
  const byChannel = new Map(rows.map((row) => [channelKey(row.item.dataId, row.channelName), row]));
  return [...byChannel.values()].sort((one, other) => one.channelId - other.channelId);
}

/**
 * Locks the channels of the rows, in the order of their ids, until the transaction ends.
 * @throws ApiError 404 when a channel is gone with its stream, or when its id is now that of another channel. The
 * latter happens when an older state of the database is restored while this server still remembers ids. Then nothing
 * that is sent later in the transaction is stored
 */
export async function lockChannels(client: pg.PoolClient, rows: readonly KnownRow[], form: Form): Promise<void> {
  const channels = rowOfEachChannel(rows);
  const values = [bigintArray(channels.map(({ channelId }) => channelId)), ...channelParameters(channels)];
  const locked = client.query(inForm(lockStatement, form, values, rows));
  await locked.catch((error: unknown) => {
    throw hasSqlstate(error, sqlstates.divisionByZero) ? notFound('Stream') : error;
  });
}

// If a channel is missing, the division by zero fails the transaction in PostgreSQL, before this process has read the
// count. So later statements can be sent at once. `is not distinct from` is an equality that no index serves:
// PostgreSQL finds a channel by its id, and only compares the rest.
const lockStatement = inTwoForms(
  'lock_channels',
  4,
  ({ and }) => `
  select 1 / (count(*) = cardinality($1::bigint[]))::integer
  from (
    select from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[])
      as r (channel_id, organization_id, data_id, channel_name)
    cross join lateral (
      select from channels
      where channel_id = r.channel_id and organization_id = r.organization_id
        and data_id is not distinct from r.data_id and channel_name is not distinct from r.channel_name
        ${and('data_id')}
      limit 1 for no key update
    ) c
  ) locked`,
);

/** A stream was closed or removed after it had been looked up. */
export class StreamClosed extends Error {}

/**
 * Fails the transaction unless the streams of all rows still take chunks. Send it after the statement that locks the
 * channels: then it sees what was committed while that statement waited.
 * @throws StreamClosed; then nothing that is sent later in the transaction is stored
 */
export async function requireOpen(
  client: pg.PoolClient,
  rows: readonly KnownRow[],
  { grace, form }: Pick<FlushDependencies, 'grace' | 'form'>,
): Promise<void> {
  // By stream; null where the stream takes the rows at any time. Of several requests, the one that came last counts.
  const waited = new Map<string, number | null>();
  for (const { item } of rows) {
    const seconds = item.isRestoring ? null : grace.waitedSeconds(item);
    const least = waited.get(item.dataId) ?? seconds;
    waited.set(item.dataId, seconds === null ? least : Math.min(least ?? seconds, seconds));
  }
  const streams = [[...waited.keys()], [...waited.values()]];
  const open = client.query(
    grace.isStrict
      ? inForm(openStrictlyStatement, form, streams, rows)
      : inForm(openStatement, form, [...streams, grace.seconds], rows),
  );
  await open.catch((error: unknown) => {
    throw hasSqlstate(error, sqlstates.divisionByZero) ? new StreamClosed('The stream is closed') : error;
  });
}

const openSql =
  (lock: string, orInGrace: string) =>
  ({ and }: Differences) =>
    `
  select 1 / (count(*) = cardinality($1::uuid[]))::integer
  from unnest($1::uuid[], $2::float8[]) as r (data_id, waited)
  cross join lateral (
    select finalized_at from streams where data_id = r.data_id and deleted_at is null ${and('data_id')} limit 1 ${lock}
  ) s
  where s.finalized_at is null or r.waited is null ${orInGrace}`;

const inGrace = 'or clock_timestamp() - s.finalized_at <= make_interval(secs => $3::float8 + r.waited)';
const openStatement = inTwoForms('require_open', 3, openSql('', inGrace));
const openStrictlyStatement = inTwoForms('require_open_strictly', 2, openSql('for share', ''));

/** Computes span and unit of the rows' channels from all their chunks, since a replacement may have removed them. */
export async function recountChannels(client: pg.PoolClient, rows: readonly KnownRow[], form: Form): Promise<void> {
  const channelIds = bigintArray(rowOfEachChannel(rows).map(({ channelId }) => channelId));
  await client.query(inForm(recountStatement, form, [channelIds], rows));
}

const recountStatement = inTwoForms(
  'recount_channels',
  1,
  ({ and, either }) => `
  update channels c
  set time_min = span.time_min, time_max = span.time_max,
      units = newest.units, units_chunk_index = newest.chunk_index
  from unnest($1::bigint[]) as r (channel_id)
  cross join lateral (
    select ctid, data_id, channel_id from channels where channel_id = r.channel_id ${and('data_id')} limit 1
  ) as found
  left join lateral (
    select min(k.time_min) as time_min, max(k.time_max) as time_max
    from chunks k where k.data_id = found.data_id and k.channel_id = r.channel_id ${and('k.data_id')}
  ) span on true
  left join lateral (
    select k.units, k.chunk_index from chunks k
    where k.data_id = found.data_id and k.channel_id = r.channel_id and k.units is not null ${and('k.data_id')}
    order by k.chunk_index desc limit 1
  ) newest on true
  where ${either('c.ctid = found.ctid', 'c.channel_id = found.channel_id')} ${and('c.data_id')}`,
);
