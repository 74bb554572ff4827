import { plainArray } from '../database/array-literal.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { lastValueOfChunk, pointsOfChunk } from '../database/stored-series.ts';
import { type Micros, micros, type RunStatus, statusSql } from './run-facts.ts';

/** A channel as it is stored, without its points. Times are in Unix seconds, null where no point has a possible time. */
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
  /**
   * The value at `timeMax`, null where that reading is absent; and the index of its chunk, null where no point has a
   * possible time.
   */
  latestValue: number | null;
  latestChunkIndex: number | null;
}

/** A channel with what has changed since it was read before. */
export interface ChangedChannel extends StoredChannel {
  /** Chunks that were added since, as far as they are among the newest by index, and their span of times. */
  freshCount: number;
  freshMin: number | null;
  freshMax: number | null;
  /** The span of times of chunks that were replaced since: of both their old and their new content. */
  replacedMin: number | null;
  replacedMax: number | null;
}

/** What is known of a channel from its last read. */
export type KnownChannel = Pick<StoredChannel, 'dataId' | 'channelId' | 'chunkCount' | 'changedAt'>;

/** The status of a run; undefined where the organization has no such run. */
export async function findFollowedRun(
  { organizationId, pool }: OrganizationDatabase,
  dataId: string,
  idleSeconds: number,
): Promise<{ dataId: string; status: RunStatus } | undefined> {
  const { rows } = await pool.query<{ dataId: string; status: RunStatus }>({
    name: 'find_followed_run',
    text: `select s.data_id as "dataId", ${statusSql} as status
           from streams s cross join lateral (
             select max(changed_at) as changed_at from channels where data_id = $1::uuid
           ) c
           where s.data_id = $1::uuid and s.organization_id = $3::uuid and s.deleted_at is null`,
    values: [dataId, idleSeconds, organizationId],
  });
  return rows[0];
}

/**
 * The channels of some runs that hold chunks and have changed since they were read before; each run in one snapshot.
 *
 * A transaction that writes a channel holds the lock of the channel until its commit. So a chunk that was added after a
 * read of the channel has a later `changed_at` than the channel had in that read, however late the commit became visible.
 * @param nearChunksMax how far below the newest chunks late chunks are searched
 * @returns also the database's clock at that snapshot
 */
export async function readChannels(
  organization: OrganizationDatabase,
  dataIds: readonly string[],
  known: readonly KnownChannel[],
  nearChunksMax: number,
): Promise<{ readAt: Micros; channels: ChangedChannel[] }> {
  if (!(await organization.isDistributed()))
    return readChannelsOf(organization, { ...readChannelsOfRuns, runs: dataIds }, known, nearChunksMax);
  // In a cluster each run is read on its node, in a snapshot of its own. The earliest of their clocks holds for all of them.
  const found = { readAt: Number.POSITIVE_INFINITY, channels: [] as ChangedChannel[] };
  for (const runs of dataIds) {
    const own = known.filter(({ dataId }) => dataId === runs);
    const { readAt, channels } = await readChannelsOf(organization, { ...readChannelsOfRun, runs }, own, nearChunksMax);
    found.readAt = Math.min(found.readAt, readAt);
    found.channels.push(...channels);
  }
  return found;
}

/** A statement, and the runs whose channels it reads. */
interface ReadChannels {
  name: string;
  text: string;
  runs: string | readonly string[];
}

async function readChannelsOf(
  { organizationId, pool }: OrganizationDatabase,
  { name, text, runs }: ReadChannels,
  known: readonly KnownChannel[],
  nearChunksMax: number,
): Promise<{ readAt: Micros; channels: ChangedChannel[] }> {
  const { rows } = await pool.query<ChangedChannel & { readAt: Micros }>({
    name,
    text,
    values: [
      runs,
      organizationId,
      plainArray(known.map(({ channelId }) => channelId)),
      plainArray(known.map(({ chunkCount }) => chunkCount)),
      plainArray(known.map(({ changedAt }) => changedAt)),
      nearChunksMax,
    ],
  });
  // There is always a first row, for the clock; it has no channel where nothing has changed.
  const readAt = rows[0]?.readAt as Micros;
  return { readAt, channels: rows.filter(({ channelId }) => channelId !== null) };
}

/** The numbers of a run in an event of the list. */
export interface RunCounts {
  dataId: string;
  pointCount: number;
  missingChunkCount: number;
  /** When a chunk was last stored or replaced; null without any. */
  lastChunkAt: Micros | null;
  /** From its first to its last time; null without any possible time. */
  seconds: number | null;
}

/** Counts points and missing chunks of some runs. @returns also the database's clock at that snapshot */
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
                    ${micros('max(c.changed_at)')} as "lastChunkAt", max(c.time_max) - min(c.time_min) as seconds
             from streams s
             left join channels c on c.data_id = s.data_id and c.chunk_count > 0
             left join lateral (
               select max(k.chunk_index) as chunk_index from chunks k
               where k.data_id = c.data_id and k.channel_id = c.channel_id
             ) newest on true
             where s.data_id = any($1::uuid[]) and s.organization_id = $2::uuid and s.deleted_at is null
             group by s.data_id
           ) found on true`,
    values: [dataIds, organizationId],
  });
  return { readAt: rows[0]?.readAt as Micros, counts: rows.filter(({ dataId }) => dataId !== null) };
}

/*
 * The newest reading is found by the index chunks_by_time, between two bounds and without the stream, as in plan-store.ts:
 * with a condition on `data_id`, PostgreSQL may scan all chunks of the run once for each channel. The lower bound is
 * computed in a sub-select of its own. Subtraction is not leakproof, so PostgreSQL 15 would evaluate it only after the
 * row-level security policy, and could not use the index.
 *
 * In a cluster a statement is of one run, which it names for every table: so Citus sends it to the node of the run.
 */
const readChannelsSql = ({ those, stream, ofStream }: Record<'those' | 'stream' | 'ofStream', string>) => `
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
      select k.chunk_index from chunks k where k.data_id = ${stream} and k.channel_id = c.channel_id order by k.chunk_index desc limit 1
    ) newest
    cross join lateral (
      select count(*), min(k.time_min) as time_min, max(k.time_max) as time_max
      from (
        select k.changed_at, k.time_min, k.time_max from chunks k
        where k.data_id = ${stream} and k.channel_id = c.channel_id and known.channel_id is not null
        order by k.chunk_index desc limit greatest(c.chunk_count - known.chunk_count, 0) + $6::bigint
      ) k
      where ${micros('k.changed_at')} > known.changed_at
    ) fresh
    cross join lateral (
      select min(least(r.time_min, k.time_min)) as time_min, max(greatest(r.time_max, k.time_max)) as time_max
      from chunk_revisions r
      join chunks k on k.data_id = r.data_id and k.channel_id = r.channel_id and k.chunk_index = r.chunk_index
      where r.data_id = ${stream} and r.channel_id = c.channel_id and ${micros('r.replaced_at')} > known.changed_at
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
      where ${ofStream} k.channel_id::float8 = c.channel_id::float8 and k.time_max = c.time_max
        and k.time_min between earliest.time_min and c.time_max
      order by k.chunk_index desc limit 1
    ) latest on true
    where c.data_id = ${those} and s.organization_id = $2::uuid and s.deleted_at is null and c.chunk_count > 0
      and (known.channel_id is null or ${micros('c.changed_at')} <> known.changed_at)
    order by convert_to(c.channel_name, 'UTF8')
  ) found on true`;

const readChannelsOfRuns = {
  name: 'read_followed_channels',
  text: readChannelsSql({ those: 'any($1::uuid[])', stream: 'c.data_id', ofStream: '' }),
};

const readChannelsOfRun = {
  name: 'read_channels_of_followed_run',
  text: readChannelsSql({ those: '$1::uuid', stream: '$1::uuid', ofStream: 'k.data_id = $1::uuid and' }),
};
