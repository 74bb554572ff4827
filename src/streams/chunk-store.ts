import type pg from 'pg';
import { plainArray, textArray } from '../database/array-literal.ts';
import { bigintArray, uuidArray } from '../database/binary-array.ts';
import { inOneStatement } from '../database/transactions.ts';
import { addGrowth, channelOfGrowth } from './channel-growth.ts';
import { columnNames, rowsParameters, rowsSql } from './chunk-columns.ts';
import type { FlushDependencies } from './flush-dependencies.ts';
import { type AddressState, type FoundRow, type KnownRow, type Row, sliceKey } from './ingest-rows.ts';
import { type Form, inForm, inTwoForms } from './statement-forms.ts';
import { type PartOptions, sendInParts } from './statement-parts.ts';
import type { InsertedChunks, StoredChunk } from './stored-chunk.ts';
import { insertFreeOfStream } from './stream-writes.ts';

/*
 * The statements of a flush. Each works on many rows of any streams. A row carries its organization, and every `where`
 * that finds a stream or locks channels compares it. The functions that take a client run in the caller's transaction,
 * and need the channel locks that lockChannels has taken there. All statements are prepared by name. Parameters of type
 * float8[] are Buffers in binary format: encoding 100 points takes less than 1 µs, and 56 µs as text.
 */

/** Looks up what is stored at the address of each row, without a lock. @returns one result for each row, in order */
export async function readAddresses(
  { pool, patience, grace, form }: Pick<FlushDependencies, 'pool' | 'patience' | 'grace' | 'form'>,
  rows: readonly Row[],
): Promise<FoundRow[]> {
  const values = [
    uuidArray(rows.map(({ item }) => item.organizationId)),
    uuidArray(rows.map(({ item }) => item.dataId)),
    textArray(rows.map(({ channelName }) => channelName)),
    bigintArray(rows.map(({ item }) => item.chunkIndex)),
    grace.seconds,
    Buffer.concat(rows.map(({ image }) => image.contentHash)),
    plainArray(rows.map(({ item }) => grace.waitedSeconds(item))),
  ];
  const result = await inOneStatement<StandingColumns>(pool, inForm(readStatement, form, values, rows), patience);
  const found = result.rows[0] as StandingColumns;
  return rows.map(({ item, channelName, image }, i) => ({
    item,
    channelName,
    image,
    state: {
      pointsPerChunk: found.pointsPerChunk[i] as number | null,
      closed: found.closed[i] as boolean,
      channelId: found.channelId[i] as number | null,
      channelPointCount: found.channelPointCount[i] as number | null,
      isSame: found.isSame[i] as boolean | null,
    },
  }));
}

// `limit` keeps each look-up a subquery of its own, which uses its whole key whatever the planner assumes about the
// tables. As a plain join it read all chunks of a channel (140 µs a chunk instead of 4). The result is one row of
// arrays, not a row for each look-up: 48 look-ups take 40 µs of this process instead of 80, and 40 µs of PostgreSQL
// instead of 33.
const readStatement = inTwoForms(
  'read_addresses',
  7,
  ({ and }) => `
  select array_to_json(array_agg(points_per_chunk)) as "pointsPerChunk", array_to_json(array_agg(closed)) as closed,
         array_to_json(array_agg(channel_id)) as "channelId",
         array_to_json(array_agg(point_count)) as "channelPointCount",
         array_to_json(array_agg(is_same)) as "isSame"
  from (
    select s.points_per_chunk, coalesce(s.closed, false) as closed, c.channel_id, c.point_count,
           k.content_hash = substring($6::bytea from r.position::integer * 32 - 31 for 32) as is_same
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $7::float8[]) with ordinality
      as r (organization_id, data_id, channel_name, chunk_index, waited, position)
    left join lateral (
      select organization_id, points_per_chunk,
             finalized_at + make_interval(secs => $5::float8 + r.waited) < clock_timestamp() as closed
      from streams where data_id = r.data_id and deleted_at is null ${and('data_id')} limit 1
    ) s on s.organization_id = r.organization_id
    left join lateral (
      select channel_id, point_count from channels
      where data_id = r.data_id and channel_name = r.channel_name and s.points_per_chunk is not null
        ${and('data_id')} limit 1
    ) c on true
    left join lateral (
      select content_hash from chunks
      where data_id = r.data_id and channel_id = c.channel_id and chunk_index = r.chunk_index ${and('data_id')} limit 1
    ) k on true
    order by r.position
  ) found`,
);

type StandingColumns = { [Column in keyof AddressState]: AddressState[Column][] };

const placeParameters = (rows: readonly KnownRow[]) => [
  uuidArray(rows.map(({ item }) => item.dataId)),
  bigintArray(rows.map(({ channelId }) => channelId)),
  bigintArray(rows.map(({ item }) => item.chunkIndex)),
];

/** The chunks that a statement inserted in a channel, and the points of that channel afterwards. */
interface Inserted {
  channelId: number;
  chunkIndexes: number[];
  pointCount: number;
}

/**
 * Inserts the chunks whose slice is free, and adds them to the counters of their channels. Chunks whose slice is taken
 * are left alone. The unit of a channel is that of its highest chunk that has one.
 */
export async function insertChunks(
  client: pg.PoolClient,
  rows: readonly KnownRow[],
  options: PartOptions,
): Promise<InsertedChunks> {
  if (options.form === 'one stream') return insertFreeOfStream(client, rows);
  const inserted = new Set<string>();
  const totals = new Map<number, number>();
  const statement = { name: 'insert_chunks', text: insertSql, values: rowsParameters };
  const answers = await sendInParts<Inserted>(client, rows, options.limits, statement);
  for (const { channelId, chunkIndexes, pointCount } of answers) {
    for (const index of chunkIndexes) inserted.add(sliceKey(channelId, index));
    totals.set(channelId, pointCount);
  }
  return { inserted, totals };
}

const insertSql = `
  with inserted as (
    insert into chunks (${columnNames}) ${rowsSql}
    on conflict do nothing
    returning data_id, channel_id, chunk_index, point_count, null_count, time_min, time_max, units
  ), growth as (
    select data_id, channel_id, count(*) as chunks, sum(point_count) as points, sum(null_count) as nulls,
           min(time_min) as time_min, max(time_max) as time_max, array_agg(chunk_index) as chunk_indexes,
           max(time_max - time_min) as seconds_max,
           max(chunk_index) filter (where units is not null) as units_chunk_index,
           (array_agg(units order by chunk_index desc) filter (where units is not null))[1] as units
    from inserted group by data_id, channel_id
  )
  update channels c set ${addGrowth()}
  from growth g cross join lateral (${channelOfGrowth}) as found
  where c.ctid = found.ctid
  returning c.channel_id as "channelId", g.chunk_indexes::float8[] as "chunkIndexes", c.point_count as "pointCount"`;

/** Chunks of one channel whose indexes follow one another. */
export interface ChunkRun {
  dataId: string;
  channelId: number;
  firstIndex: number;
  lastIndex: number;
}

/**
 * Reads chunks that were just written, so that PostgreSQL marks their rows as committed now. The first reader of a row
 * sets that mark. With data checksums, the first mark on a page after a checkpoint writes the whole page to the
 * write-ahead log. Right after the write that is free, since the page has been logged since the last checkpoint anyway.
 * Later, a mere replay of a chunk would cause that write (1.8 kB a chunk).
 */
export async function touchChunks(
  { pool, patience, form }: Pick<FlushDependencies, 'pool' | 'patience' | 'form'>,
  runs: readonly ChunkRun[],
): Promise<void> {
  const values = [
    uuidArray(runs.map(({ dataId }) => dataId)),
    bigintArray(runs.map(({ channelId }) => channelId)),
    bigintArray(runs.map(({ firstIndex }) => firstIndex)),
    bigintArray(runs.map(({ lastIndex }) => lastIndex)),
  ];
  await inOneStatement(pool, inForm(touchStatement, form, values, runs), patience);
}

// Counting a column reads the rows. Counting rows might read the index alone.
const touchStatement = inTwoForms(
  'touch_chunks',
  4,
  ({ and }) => `
  select sum(k.count)
  from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[])
    as r (data_id, channel_id, first_index, last_index)
  cross join lateral (
    select count(point_count) from chunks
    where data_id = r.data_id and channel_id = r.channel_id
      and chunk_index between r.first_index and r.last_index ${and('data_id')}
  ) k`,
);

/** The chunks that are stored in the slices of the rows, by `sliceKey`. */
export async function readStoredChunks(
  client: pg.PoolClient,
  rows: readonly KnownRow[],
  form: Form,
): Promise<Map<string, StoredChunk>> {
  const result = await client.query<StoredChunk>(inForm(readStoredStatement, form, placeParameters(rows), rows));
  return new Map(result.rows.map((row) => [sliceKey(row.channelId, row.chunkIndex), row]));
}

const readStoredStatement = inTwoForms(
  'read_stored_chunks',
  3,
  ({ and }) => `
  select k.channel_id as "channelId", k.chunk_index as "chunkIndex", k.content_hash as "contentHash",
         k.time_min as "timeMin", k.time_max as "timeMax", k.units, k.point_count as "pointCount", k.null_count as "nullCount",
         c.point_count as "channelPointCount", c.time_min as "channelTimeMin", c.time_max as "channelTimeMax"
  from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as r (data_id, channel_id, chunk_index)
  cross join lateral (
    select * from chunks
    where data_id = r.data_id and channel_id = r.channel_id and chunk_index = r.chunk_index ${and('data_id')} limit 1
  ) k
  cross join lateral (select * from channels where channel_id = r.channel_id ${and('data_id')} limit 1) c`,
);
