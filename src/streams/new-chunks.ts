import type pg from 'pg';
import { encodeFloat8Array } from '../database/float8-array.ts';
import { hasSqlstate, sqlstates } from '../database/sqlstates.ts';
import { notFound } from '../errors.ts';
import { addGrowth, channelParameters, growthOf } from './channel-growth.ts';
import { columnNames, rowsParameters, rowsParametersCount, rowsSqlWith } from './chunk-columns.ts';
import type { KnownRow } from './ingest-rows.ts';
import { type PartOptions, sendInParts } from './statement-parts.ts';
import { insertNewOfStream } from './stream-writes.ts';

/*
 * The statement for new chunks, which nearly all are. It first corrects the counters of the channels, which locks the
 * channels in the order of their ids, and then inserts the chunks. It computes the growth of the channels beforehand:
 * if one of the chunks is stored already, the statement fails as a whole and the counters stay as they were
 * (docs/decisions/0045-one-statement-for-new-chunks.md).
 */

/**
 * Inserts chunks whose slices are all free, and adds them to the counters of their channels, which stay locked until
 * the transaction ends. The unit of a channel is that of its highest chunk that has one.
 * @returns the points of the channels after that, by their ids
 * @throws 23505 when a slice is taken; ApiError 404 when a channel is gone with its stream, or when its id is now that
 * of another channel. The latter happens when an older state of the database is restored while this server still
 * remembers ids. In all cases nothing that is sent in this transaction is stored
 */
export async function insertNewChunks(
  client: pg.PoolClient,
  rows: readonly KnownRow[],
  { limits, form }: PartOptions,
): Promise<Map<number, number>> {
  // In the order in which every transaction locks channels, across all parts.
  const ordered = rows.toSorted(inOrder);
  if (form === 'one stream') return insertNewOfStream(client, ordered);
  const grown = await sendInParts<Grown>(client, ordered, limits, {
    name: 'insert_new_chunks',
    text: insertSql,
    values: parametersOf,
  }).catch((error: unknown) => {
    throw hasSqlstate(error, sqlstates.divisionByZero) ? notFound('Stream') : error;
  });
  return new Map(grown.map(({ channelId, pointCount }) => [channelId, pointCount]));
}

/**
 * Chunks of a channel lie side by side in ascending order. So PostgreSQL splits a full page of their index at its end,
 * not in its middle. That fills the pages, and logs less.
 */
const inOrder = (one: KnownRow, other: KnownRow) =>
  one.channelId - other.channelId || one.item.chunkIndex - other.item.chunkIndex;

interface Grown {
  channelId: number;
  pointCount: number;
}

const first = rowsParametersCount + 1;
const placesParameter = first + channelParameters.length;

function parametersOf(rows: readonly KnownRow[]): unknown[] {
  const { channels, places } = growthOf(rows);
  return [...rowsParameters(rows), ...channelParameters.map(({ of }) => of(channels)), encodeFloat8Array(places)];
}

/*
 * An update that has waited for a row sees its newest state and computes the new values from it. So counters are exact,
 * and `changed_at` is later than that of the transaction that held the lock before. A chunk gets the `changed_at` of
 * its channel: a client that follows a run asks for the chunks that are later than the `changed_at` that it knows of a
 * channel.
 *
 * `any(array[…])` forces PostgreSQL to look up each channel of the list by its index: it cannot hash or merge by it as
 * by an equality, and sessions of ingest never read whole tables.
 */
const insertSql = `
  with grown as (
    update channels c set ${addGrowth()}
    from unnest(${channelParameters.map(({ type }, i) => `$${first + i}::${type}[]`).join(', ')})
      as g (${channelParameters.map(({ name }) => name).join(', ')})
    where c.channel_id = any(array[g.channel_id]) and c.organization_id = g.organization_id
      and c.data_id is not distinct from g.data_id and c.channel_name is not distinct from g.channel_name
    returning c.channel_id, c.point_count, c.changed_at
  ), moments as materialized (
    select case when 1 / (count(*) = cardinality($${first}::bigint[]))::integer = 1
             then array_agg(changed_at order by channel_id) end as changed_at
    from grown
  ), inserted as (
    insert into chunks (${columnNames}, stored_at, changed_at)
    ${rowsSqlWith({
      arrays: [{ name: 'place', array: `$${placesParameter}::float8[]` }],
      columns: ['stored_at', 'changed_at'].map(
        (name) => `(select changed_at from moments)[u.place::integer] as ${name}`,
      ),
    })}
  )
  select channel_id as "channelId", point_count as "pointCount" from grown`;
