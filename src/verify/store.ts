import {
  type ContentKey,
  type ContentTable,
  contentKeyColumns,
  contentPageSql,
  firstOfAll,
  pageParameters,
} from '../database/contents.ts';
import type { Database } from '../database/database.ts';
import { contentHashOf, seriesAsSent } from '../database/stored-series.ts';

/*
 * Statements that read the data of all organizations, for the operator alone: no route reaches them. Each reads one
 * page, in order of the primary key. None waits for writers or makes them wait.
 */

/** A stored content and what is wrong with it; null where nothing is wrong. */
export interface CheckedContent extends ContentKey {
  /** Null where the channel is gone. */
  channelName: string | null;
  problem: string | null;
}

/** What is verified: one stream, or everything where it is undefined. */
export type VerifiedScope = string | undefined;

/** The parts of a table that are verified one after the other: all at once, but in a cluster each stream on its node. */
export async function* scopesOf(database: Database, table: ContentTable | 'channels'): AsyncGenerator<VerifiedScope> {
  if (!(await database.isDistributed())) return yield undefined;
  for (let after = firstOfAll.dataId; ; ) {
    const { rows } = await database.everyOrganization.upkeep.pool.query<{ dataId: string }>(
      'select data_id as "dataId" from streams where data_id > $1::uuid order by data_id limit $2::integer',
      [after, listedStreamsMax],
    );
    for (const { dataId } of rows) yield dataId;
    const last = rows.at(-1);
    if (last === undefined || rows.length < listedStreamsMax) break;
    after = last.dataId;
  }
  // What belongs to no stream is damage, and is to be found.
  const { rows } = await database.everyOrganization.upkeep.pool.query<{ dataId: string }>(
    `select distinct k.data_id as "dataId" from ${table} k
     where not exists (select 1 from streams s where s.data_id = k.data_id) order by 1`,
  );
  for (const { dataId } of rows) yield dataId;
}

const listedStreamsMax = 1_000;

/** SQL of the condition for rows `k` of a scope; its stream is the sixth parameter. */
const within = (scope: VerifiedScope) => (scope === undefined ? 'true' : 'k.data_id = $6::uuid');
const parametersOf = (after: ContentKey, limit: number, scope: VerifiedScope) => [
  ...pageParameters(after, limit),
  ...(scope === undefined ? [] : [scope]),
];

/**
 * Computes the hashes of the next contents, and compares hash and counts of each with its arrays. PostgreSQL does that
 * row by row, so neither it nor this process ever holds more than one chunk.
 */
export async function checkContents(
  database: Database,
  table: ContentTable,
  scope: VerifiedScope,
  after: ContentKey,
  limit: number,
): Promise<CheckedContent[]> {
  const { rows } = await database.everyOrganization.upkeep.pool.query<CheckedContent>(
    `select ${contentKeyColumns(table)}, c.channel_name as "channelName",
            case
              when c.channel_id is null and s.removed_at is null then 'its channel is gone'
              when k.content_hash is distinct from ${contentHashOf('k', 'a')} then 'its hash is not that of its content'
              when k.point_count <> cardinality(a."values") or k.point_count <> cardinality(a.timestamps)
                or k.null_count <> k.point_count - (select count(value) from unnest(a."values") as value)
                then 'its counts are not those of its content'
            end as problem
     from ${table} k
     left join channels c on c.data_id = k.data_id and c.channel_id = k.channel_id
     left join streams s on s.data_id = k.data_id
     cross join lateral ${seriesAsSent('k')} a
     ${contentPageSql(table, within(scope))}`,
    parametersOf(after, limit, scope),
  );
  return rows;
}

/** The keys of the next contents, without reading their arrays. */
export async function listContents(
  database: Database,
  table: ContentTable,
  scope: VerifiedScope,
  after: ContentKey,
  limit: number,
): Promise<ContentKey[]> {
  const { rows } = await database.everyOrganization.upkeep.pool.query<ContentKey>(
    `select ${contentKeyColumns(table)} from ${table} k ${contentPageSql(table, within(scope))}`,
    parametersOf(after, limit, scope),
  );
  return rows;
}

export interface CheckedChannel {
  dataId: string;
  channelId: number;
  channelName: string;
  problem: string | null;
}

/**
 * Compares the counters of the next channels with their chunks, each channel in one snapshot. Channels of a stream that
 * is being removed are skipped, since their chunks are removed one after the other.
 */
export async function checkChannels(
  database: Database,
  scope: VerifiedScope,
  after: Pick<CheckedChannel, 'dataId' | 'channelId'>,
  limit: number,
): Promise<CheckedChannel[]> {
  const stream = scope === undefined ? 'c.data_id' : '$4::uuid';
  const { rows } = await database.everyOrganization.upkeep.pool.query<CheckedChannel>(
    `select c.data_id as "dataId", c.channel_id as "channelId", c.channel_name as "channelName",
            case
              when s.removed_at is not null then null
              when (c.chunk_count, c.point_count, c.null_count) <> (k.chunks, k.points, k.nulls)
                then format('it counts %s chunks, %s points, %s absent values; its chunks hold %s, %s, %s',
                            c.chunk_count, c.point_count, c.null_count, k.chunks, k.points, k.nulls)
              when (c.time_min, c.time_max) is distinct from (k.time_min, k.time_max)
                then 'its times are not those of its chunks'
              when k.misplaced > 0 then format('%s of its chunks are not at their offset', k.misplaced)
            end as problem
     from (
       select * from channels c where (data_id, channel_id) > ($1::uuid, $2::bigint) ${scope === undefined ? '' : 'and data_id = $4::uuid'}
       order by data_id, channel_id limit $3::integer
     ) c
     join streams s on s.data_id = ${stream}
     cross join lateral (
       select count(*) as chunks, coalesce(sum(point_count), 0) as points, coalesce(sum(null_count), 0) as nulls,
              min(time_min) as time_min, max(time_max) as time_max,
              count(*) filter (where start_offset <> chunk_index * s.points_per_chunk) as misplaced
       from chunks where data_id = ${stream} and channel_id = c.channel_id
     ) k
     order by c.data_id, c.channel_id`,
    [after.dataId, after.channelId, limit, ...(scope === undefined ? [] : [scope])],
  );
  return rows;
}
