import type pg from 'pg';
import { textArray } from '../database/array-literal.ts';
import { bigintArray, uuidArray } from '../database/binary-array.ts';
import { encodeFloat8Array } from '../database/float8-array.ts';
import { hasSqlstate, sqlstates } from '../database/sqlstates.ts';
import { notFound } from '../errors.ts';
import { addGrowth } from './channel-growth.ts';
import { columnNames, rowsParameters, rowsParametersCount, rowsSqlWith } from './chunk-columns.ts';
import type { KnownRow } from './ingest-rows.ts';
import { insertsReturning, inTwoForms } from './statement-forms.ts';
import { type PartOptions, sendInParts } from './statement-parts.ts';

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
  options: PartOptions,
): Promise<Map<number, number>> {
  // In the order in which every transaction locks channels, across all parts.
  const ordered = rows.toSorted(inOrder);
  const grown = await sendInParts<Grown>(client, ordered, options, insertStatement, parametersOf).catch(
    (error: unknown) => {
      throw hasSqlstate(error, sqlstates.divisionByZero) ? notFound('Stream') : error;
    },
  );
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

/** What a channel grows by. */
interface Growth {
  row: KnownRow;
  chunks: number;
  points: number;
  nulls: number;
  timeMin: number | null;
  timeMax: number | null;
  secondsMax: number | null;
  /** Of the highest chunk that has a unit. */
  units: string | null;
  unitsChunkIndex: number | null;
}

/** @param rows sorted by channel. @returns also the place of each row's channel in `channels`, counted from 1 */
function growthOf(rows: readonly KnownRow[]): { channels: Growth[]; places: number[] } {
  const channels: Growth[] = [];
  const places = rows.map((row) => {
    let growth = channels.at(-1);
    if (growth === undefined || !isSameChannel(growth.row, row)) {
      growth = { row, ...{ chunks: 0, points: 0, nulls: 0, units: null, unitsChunkIndex: null }, ...noSpan };
      channels.push(growth);
    }
    add(growth, row);
    return channels.length;
  });
  return { channels, places };
}

const noSpan = { timeMin: null, timeMax: null, secondsMax: null };

// Not by the id alone: two channels can have one id if one is remembered from a database that has since been replaced.
const isSameChannel = (one: KnownRow, other: KnownRow) =>
  one.channelId === other.channelId &&
  one.channelName === other.channelName &&
  one.item.dataId === other.item.dataId &&
  one.item.organizationId === other.item.organizationId;

function add(growth: Growth, { image, item }: KnownRow): void {
  growth.chunks++;
  growth.points += image.pointCount;
  growth.nulls += image.nullCount;
  if (image.timeMin !== null && image.timeMax !== null) {
    growth.timeMin = Math.min(growth.timeMin ?? image.timeMin, image.timeMin);
    growth.timeMax = Math.max(growth.timeMax ?? image.timeMax, image.timeMax);
    growth.secondsMax = Math.max(growth.secondsMax ?? 0, image.timeMax - image.timeMin);
  }
  if (image.units !== null && item.chunkIndex > (growth.unitsChunkIndex ?? -1)) {
    growth.units = image.units;
    growth.unitsChunkIndex = item.chunkIndex;
  }
}

const first = rowsParametersCount + 1;
const channelParameters = [
  { name: 'channel_id', type: 'bigint', of: (all: Growth[]) => bigintArray(all.map(({ row }) => row.channelId)) },
  {
    name: 'organization_id',
    type: 'uuid',
    of: (all: Growth[]) => uuidArray(all.map(({ row }) => row.item.organizationId)),
  },
  { name: 'data_id', type: 'uuid', of: (all: Growth[]) => uuidArray(all.map(({ row }) => row.item.dataId)) },
  { name: 'channel_name', type: 'text', of: (all: Growth[]) => textArray(all.map(({ row }) => row.channelName)) },
  { name: 'chunks', type: 'bigint', of: (all: Growth[]) => bigintArray(all.map(({ chunks }) => chunks)) },
  { name: 'points', type: 'bigint', of: (all: Growth[]) => bigintArray(all.map(({ points }) => points)) },
  { name: 'nulls', type: 'bigint', of: (all: Growth[]) => bigintArray(all.map(({ nulls }) => nulls)) },
  { name: 'time_min', type: 'float8', of: (all: Growth[]) => encodeFloat8Array(all.map(({ timeMin }) => timeMin)) },
  { name: 'time_max', type: 'float8', of: (all: Growth[]) => encodeFloat8Array(all.map(({ timeMax }) => timeMax)) },
  {
    name: 'seconds_max',
    type: 'float8',
    of: (all: Growth[]) => encodeFloat8Array(all.map(({ secondsMax }) => secondsMax)),
  },
  { name: 'units', type: 'text', of: (all: Growth[]) => textArray(all.map(({ units }) => units)) },
  {
    name: 'units_chunk_index',
    type: 'float8',
    of: (all: Growth[]) => encodeFloat8Array(all.map(({ unitsChunkIndex }) => unitsChunkIndex)),
  },
];
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
const insertStatement = inTwoForms(
  'insert_new_chunks',
  placesParameter,
  (differences) => `
  with grown as (
    update channels c set ${addGrowth(differences)}
    from unnest(${channelParameters.map(({ type }, i) => `$${first + i}::${type}[]`).join(', ')})
      as g (${channelParameters.map(({ name }) => name).join(', ')})
    where c.channel_id = any(array[g.channel_id]) and c.organization_id = g.organization_id
      and c.data_id is not distinct from g.data_id and c.channel_name is not distinct from g.channel_name
      ${differences.and('c.data_id')}
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
    ${insertsReturning(differences, 'channel_id')}
  )
  select channel_id as "channelId", point_count as "pointCount" from grown`,
);
