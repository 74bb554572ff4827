/*
 * The writes of a flush in a cluster, for rows of one stream. What one statement does on one PostgreSQL takes several here, since
 * Citus sends a statement to the node as a whole only if it changes one table, and an insert only if its rows are given as
 * `values`. Anything else goes through files and through nodes that do not have the stream. All run in the caller's transaction.
 */
import type pg from 'pg';
import { bigintArray } from '../database/binary-array.ts';
import { hasSqlstate, sqlstates } from '../database/sqlstates.ts';
import { inOrder } from '../database/transactions.ts';
import { notFound } from '../errors.ts';
import { addGrowth, channelParameters, type Growth, growthOf } from './channel-growth.ts';
import { columnNames, keptColumns, keptColumnsOfChunk, valuesOf } from './chunk-columns.ts';
import { type KnownRow, sliceKey } from './ingest-rows.ts';
import type { InsertedChunks, StoredChunk } from './stored-chunk.ts';

/** Rows of one `values` list: a statement has at most 65,535 parameters, and its text is read each time. */
const listRowsMax = 250;

/** As insertNewChunks. @param rows sorted by channel */
export async function insertNewOfStream(
  client: pg.PoolClient,
  rows: readonly KnownRow[],
): Promise<Map<number, number>> {
  const grown = await grow(client, rows, growthOf(rows).channels);
  const moment = ({ channelId }: KnownRow) => grown.get(channelId)?.changedAt;
  await insertValues(client, rows, moment, '');
  return totalsOf(grown);
}

/** As insertChunks. */
export async function insertFreeOfStream(client: pg.PoolClient, rows: readonly KnownRow[]): Promise<InsertedChunks> {
  const free = await insertValues(client, rows, undefined, 'on conflict do nothing');
  const inserted = new Set(free.map(({ channelId, chunkIndex }) => sliceKey(channelId, chunkIndex)));
  const isInserted = (row: KnownRow) => inserted.has(sliceKey(row.channelId, row.item.chunkIndex));
  const own = rows.filter(isInserted).toSorted((one, other) => one.channelId - other.channelId);
  const grown = own.length > 0 ? await grow(client, own, growthOf(own).channels) : new Map<number, Grown>();
  return { inserted, totals: totalsOf(grown) };
}

/** As replaceChunks. */
export async function replaceOfStream(
  client: pg.PoolClient,
  rows: readonly KnownRow[],
  storedAt: (row: KnownRow) => StoredChunk,
): Promise<{ channelId: number; pointCount: number }[]> {
  const ordered = rows.toSorted((one, other) => one.channelId - other.channelId);
  await keep(client, ordered);
  await inOrder(ordered.map((row) => replace(client, row)));
  const { channels } = growthOf(ordered);
  for (const growth of channels) {
    const own = ordered.filter(({ channelId }) => channelId === growth.row.channelId).map(storedAt);
    growth.chunks = 0;
    growth.points -= own.reduce((sum, { pointCount }) => sum + pointCount, 0);
    growth.nulls -= own.reduce((sum, { nullCount }) => sum + nullCount, 0);
  }
  return [...totalsOf(await grow(client, ordered, channels))].map(([channelId, pointCount]) => ({
    channelId,
    pointCount,
  }));
}

interface Grown {
  pointCount: number;
  changedAt: string;
}

const totalsOf = (grown: Map<number, Grown>) => new Map([...grown].map(([id, { pointCount }]) => [id, pointCount]));

/** @throws ApiError 404 when a channel is gone with its stream, or when its id is now that of another channel */
async function grow(client: pg.PoolClient, rows: readonly KnownRow[], channels: Growth[]): Promise<Map<number, Grown>> {
  const values = [...channelParameters.map(({ of }) => of(channels)), rows[0]?.item.dataId];
  const { rows: answers } = await client
    .query<{ channelIds: number[]; pointCounts: number[]; moments: string[] }>({
      name: 'grow_channels',
      text: growSql,
      values,
    })
    .catch((error: unknown) => {
      throw hasSqlstate(error, sqlstates.divisionByZero) ? notFound('Stream') : error;
    });
  const { channelIds = [], pointCounts = [], moments = [] } = answers[0] ?? {};
  return new Map(
    channelIds.map((id, i) => [id, { pointCount: pointCounts[i] as number, changedAt: moments[i] as string }]),
  );
}

/**
 * The coordinator reads the clock before the update waits for the row on its node. `changed_at` must grow all the same,
 * since clients follow a run by it. Citus takes immutable functions of columns only, and adding an interval is immutable for
 * times without a zone.
 */
const laterThanBefore = `greatest(
    (c.changed_at at time zone 'UTC' + interval '1 microsecond') at time zone 'UTC', clock_timestamp()
  )`;

const growSql = `
  with grown as (
    update channels c set ${addGrowth(laterThanBefore)}
    from unnest(${channelParameters.map(({ type }, i) => `$${i + 1}::${type}[]`).join(', ')})
      as g (${channelParameters.map(({ name }) => name).join(', ')})
    where c.channel_id = any(array[g.channel_id]) and c.organization_id = g.organization_id
      and c.data_id is not distinct from g.data_id and c.channel_name is not distinct from g.channel_name
      and c.data_id = $${channelParameters.length + 1}::uuid
    returning c.channel_id, c.point_count, c.changed_at
  )
  select array_to_json(array_agg(channel_id)) as "channelIds", array_to_json(array_agg(point_count)) as "pointCounts",
         array_to_json(array_agg(changed_at)) as moments,
         1 / (count(*) = cardinality($1::bigint[]))::integer as "areAll"
  from grown`;

/** @param moment the `changed_at` of a row; by default the clock says it */
async function insertValues(
  client: pg.PoolClient,
  rows: readonly KnownRow[],
  moment: ((row: KnownRow) => string | undefined) | undefined,
  onConflict: string,
): Promise<{ channelId: number; chunkIndex: number }[]> {
  const answers = [];
  for (let i = 0; i < rows.length; i += listRowsMax) {
    const values: unknown[] = [];
    const lines = rows.slice(i, i + listRowsMax).map((row) => {
      const columns = valuesOf(row).map(({ parameter, sql }) => sql(`$${values.push(parameter)}`));
      const at = moment && `$${values.push(moment(row))}::timestamptz`;
      return `(${[...columns, ...(at ? [at, at] : [])].join(', ')})`;
    });
    const names = moment ? `${columnNames}, stored_at, changed_at` : columnNames;
    const text = `insert into chunks (${names}) values ${lines.join(', ')} ${onConflict}
      returning channel_id as "channelId", chunk_index as "chunkIndex"`;
    answers.push(await client.query<{ channelId: number; chunkIndex: number }>({ text, values }));
  }
  return answers.flatMap((answer) => answer.rows);
}

/** @param rows of one stream */
async function keep(client: pg.PoolClient, rows: readonly KnownRow[]): Promise<void> {
  const places = [
    bigintArray(rows.map(({ channelId }) => channelId)),
    bigintArray(rows.map(({ item }) => item.chunkIndex)),
    rows[0]?.item.dataId,
  ];
  const by = [bigintArray(rows.map(({ item }) => item.keyId)), rows.map(({ image }) => image.contentHash)];
  await client.query({ text: keepSql, values: [...places, ...by] });
  await client.query({ text: forgetSql, values: places });
}

// An insert that returns nothing would be a COPY, which policies forbid.
const keepSql = `
  insert into chunk_revisions (${keptColumns}, revision, replaced_by_key_id, stored_at, replacing_hash, replaced_at)
  select ${keptColumnsOfChunk}, k.replaced_count + 1, b.key_id, k.changed_at, b.content_hash, clock_timestamp()
  from chunks k
  join unnest($1::bigint[], $2::bigint[], $4::bigint[], $5::bytea[]) as b (channel_id, chunk_index, key_id, content_hash)
    on k.channel_id = b.channel_id and k.chunk_index = b.chunk_index
  where k.data_id = $3::uuid
  returning 1`;

/** A cluster has no trigger that does this (migration 0014). */
const forgetSql = `
  delete from overviews o
  using unnest($1::bigint[], $2::bigint[]) as b (channel_id, chunk_index), generate_series(1, 8) as n
  where o.data_id = $3::uuid and o.channel_id = b.channel_id and o."level" = n and o.block = b.chunk_index >> (6 * n)`;

async function replace(client: pg.PoolClient, row: KnownRow): Promise<void> {
  const values: unknown[] = [];
  const columns = valuesOf(row).map((value) => ({ ...value, place: value.sql(`$${values.push(value.parameter)}`) }));
  const listed = (isKey: boolean, between: string) =>
    columns
      .filter((column) => column.isKey === isKey)
      .map(({ name, place }) => `${name} = ${place}`)
      .join(between);
  const text = `update chunks set ${listed(false, ', ')}, changed_at = clock_timestamp(), replaced_count = replaced_count + 1
    where ${listed(true, ' and ')}`;
  await client.query({ text, values });
}
