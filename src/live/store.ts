import { plainArray } from '../database/array-literal.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { lastValueOfChunk, pointsOfChunk } from '../database/stored-series.ts';
import { type Micros, micros, type RunStatus, statusSql } from './run-facts.ts';

/** A channel as it is stored, without its points. Times are Unix seconds, null where no point has a possible time. */
export interface StoredChannel {
  dataId: string;
  channelId: number;
  channelName: string;
  units: string | null;
  chunkCount: number;
  pointCount: number;
  lastChunkIndex: number;
  changedAt: Micros;
  timeMin: number | null;
  timeMax: number | null;
  /** The value at `timeMax`, null where that reading is absent, and the chunk that holds it, null without any. */
  latestValue: number | null;
  latestChunkIndex: number | null;
}

/** The same, with what has changed since it was read before. */
export interface ChangedChannel extends StoredChannel {
  /** Chunks that have come since among the newest by index, and the times of those. */
  freshCount: number;
  freshMin: number | null;
  freshMax: number | null;
  /** The times of chunks that were replaced since, of what they held and of what they hold now. */
  replacedMin: number | null;
  replacedMax: number | null;
}

/** What is known of a channel from the last time that it was read. */
export type KnownChannel = Pick<StoredChannel, 'channelId' | 'chunkCount' | 'changedAt'>;

/** Which of some runs the organization has, and what each is doing. */
export async function findFollowedRuns(
  { organizationId, pool }: OrganizationDatabase,
  dataIds: readonly string[],
  idleSeconds: number,
): Promise<{ dataId: string; status: RunStatus }[]> {
  const { rows } = await pool.query<{ dataId: string; status: RunStatus }>({
    name: 'find_followed_runs',
    text: `select s.data_id as "dataId", ${statusSql} as status
           from streams s cross join lateral (
             select max(changed_at) as changed_at from channels where data_id = s.data_id
           ) c
           where s.data_id = any($1::uuid[]) and s.organization_id = $3::uuid and s.deleted_at is null`,
    values: [dataIds, idleSeconds, organizationId],
  });
  return rows;
}

/**
 * The channels of some runs that hold chunks and are not as they were known, as they stand at one moment.
 *
 * Who writes a channel holds its lock until the commit. So a chunk that has come since a channel was read has a later
 * `changed_at` than the channel had then, however late its transaction became visible.
 * @param nearChunksMax how far below the newest chunks late ones are looked for
 * @returns also the database's clock at that moment
 */
export async function readChannels(
  { organizationId, pool }: OrganizationDatabase,
  dataIds: readonly string[],
  known: readonly KnownChannel[],
  nearChunksMax: number,
): Promise<{ readAt: Micros; channels: ChangedChannel[] }> {
  const { rows } = await pool.query<ChangedChannel & { readAt: Micros }>({
    name: 'read_followed_channels',
    text: readChannelsSql,
    values: [
      dataIds,
      organizationId,
      plainArray(known.map(({ channelId }) => channelId)),
      plainArray(known.map(({ chunkCount }) => chunkCount)),
      plainArray(known.map(({ changedAt }) => changedAt)),
      nearChunksMax,
    ],
  });
  // The first row stands for the moment; it has no channel where nothing has changed.
  const readAt = rows[0]?.readAt as Micros;
  return { readAt, channels: rows.filter(({ channelId }) => channelId !== null) };
}

/** What the list of runs tells of one. */
export interface RunCounts {
  dataId: string;
  pointCount: number;
  missingChunkCount: number;
  /** When a chunk was last stored or replaced; null without any. */
  lastChunkAt: Micros | null;
}

/** Counts what some runs hold and lack. @returns also the database's clock at that moment */
export async function countFollowedRuns(
  { organizationId, pool }: OrganizationDatabase,
  dataIds: readonly string[],
): Promise<{ readAt: Micros; counts: RunCounts[] }> {
  const { rows } = await pool.query<RunCounts & { readAt: Micros }>({
    name: 'count_followed_runs',
    text: `select ${micros('statement_timestamp()')} as "readAt", found.*
           from (select) as moment left join (
             select s.data_id as "dataId", coalesce(sum(c.point_count), 0)::bigint as "pointCount",
                    coalesce(sum(newest.chunk_index + 1 - c.chunk_count), 0)::bigint as "missingChunkCount",
                    ${micros('max(c.changed_at)')} as "lastChunkAt"
             from streams s
             left join channels c on c.data_id = s.data_id and c.chunk_count > 0
             left join lateral (
               select k.chunk_index from chunks k where ${chunksOfChannel} order by k.chunk_index desc limit 1
             ) newest on true
             where s.data_id = any($1::uuid[]) and s.organization_id = $2::uuid and s.deleted_at is null
             group by s.data_id
           ) found on true`,
    values: [dataIds, organizationId],
  });
  return { readAt: rows[0]?.readAt as Micros, counts: rows.filter(({ dataId }) => dataId !== null) };
}

const chunksOfChannel = 'k.data_id = c.data_id and k.channel_id = c.channel_id';

/*
 * The newest reading is looked up in chunks_by_time, between two bounds and without the stream, as plan-store.ts does it: with
 * `data_id` PostgreSQL may go through all chunks of the run beside it, once a channel. The lower bound is computed apart:
 * subtraction is not leakproof, so PostgreSQL 15 would not let it come before the policy of the table, and so not to the index.
 */
const readChannelsSql = `
  select ${micros('statement_timestamp()')} as "readAt", found.*
  from (select) as moment left join (
    select c.data_id as "dataId", c.channel_id as "channelId", c.channel_name as "channelName", c.units,
           c.chunk_count as "chunkCount", c.point_count as "pointCount", newest.chunk_index as "lastChunkIndex",
           ${micros('c.changed_at')} as "changedAt", c.time_min as "timeMin", c.time_max as "timeMax",
           latest.value as "latestValue", latest.chunk_index as "latestChunkIndex",
           fresh.count::integer as "freshCount", fresh.time_min as "freshMin", fresh.time_max as "freshMax",
           replaced.time_min as "replacedMin", replaced.time_max as "replacedMax"
    from channels c
    join streams s on s.data_id = c.data_id
    left join unnest($3::bigint[], $4::bigint[], $5::float8[]) as known (channel_id, chunk_count, changed_at)
      on known.channel_id = c.channel_id
    cross join lateral (
      select k.chunk_index from chunks k where ${chunksOfChannel} order by k.chunk_index desc limit 1
    ) newest
    cross join lateral (
      select count(*), min(k.time_min) as time_min, max(k.time_max) as time_max
      from (
        select k.changed_at, k.time_min, k.time_max from chunks k
        where ${chunksOfChannel} and known.channel_id is not null
        order by k.chunk_index desc limit greatest(c.chunk_count - known.chunk_count, 0) + $6::bigint
      ) k
      where ${micros('k.changed_at')} > known.changed_at
    ) fresh
    cross join lateral (
      select min(least(r.time_min, k.time_min)) as time_min, max(greatest(r.time_max, k.time_max)) as time_max
      from chunk_revisions r
      join chunks k on k.data_id = r.data_id and k.channel_id = r.channel_id and k.chunk_index = r.chunk_index
      where r.data_id = c.data_id and r.channel_id = c.channel_id and ${micros('r.replaced_at')} > known.changed_at
    ) replaced
    cross join lateral (
      select c.time_max - c.chunk_seconds_max - 0.000001 - greatest(abs(c.time_max), 1) * 1e-15 as time_min offset 0
    ) earliest
    left join lateral (
      select k.chunk_index,
             case when k.ascending then ${lastValueOfChunk('k')}
                  else (select p.value from ${pointsOfChunk('k')} p
                        where p.seconds = c.time_max order by p.place desc limit 1) end as value
      from chunks k
      where k.channel_id::float8 = c.channel_id::float8 and k.time_max = c.time_max
        and k.time_min between earliest.time_min and c.time_max
      order by k.chunk_index desc limit 1
    ) latest on true
    where c.data_id = any($1::uuid[]) and s.organization_id = $2::uuid and s.deleted_at is null and c.chunk_count > 0
      and (known.channel_id is null or ${micros('c.changed_at')} <> known.changed_at)
    order by convert_to(c.channel_name, 'UTF8')
  ) found on true`;
