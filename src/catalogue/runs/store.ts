import { sql } from 'kysely';
import type { Fold } from '../../database/folding.ts';
import type { OrganizationDatabase } from '../../database/organizations.ts';
import { ownersOf } from '../owners.ts';
import { projectOrder, projectsOfStream } from '../projects-of-stream.ts';
import { passes, type RunFilter } from './filter.ts';
import type { Run } from './schemas.ts';
import { runsIn, searchTables } from './search.ts';

/** The position of a run in the list: newest first. */
export interface RunPlace {
  data_id: string;
  created_at: string;
}

export interface FoundRuns {
  /** The runs that pass, at most `foundMax`. */
  found: RunPlace[];
  /**
   * The last run that was looked at; undefined when none is left. If `foundMax` was reached, further runs before it may
   * pass.
   */
  last: RunPlace | undefined;
  /** How many runs were looked at. */
  looked: number;
}

/**
 * Looks at the next runs in the order of the list, at most `lookMax`, and gives those that pass a filter, at most
 * `foundMax`.
 */
export async function findRuns(
  organization: OrganizationDatabase,
  filter: RunFilter,
  after: RunPlace | undefined,
  { lookMax, foundMax }: { lookMax: number; foundMax: number },
): Promise<FoundRuns> {
  const { organizationId, kysely } = organization;
  const isDistributed = await organization.isDistributed();
  const isSearch = filter.words.length > 0;
  const { rows } = await sql<RunPlace & { is_found: boolean; looked: number }>`
    with looked as materialized (
      select * from streams
      where organization_id = ${organizationId}::uuid and deleted_at is null
        and (${after?.data_id}::uuid is null or created_at < ${after?.created_at}::timestamptz
          or created_at = ${after?.created_at}::timestamptz and data_id > ${after?.data_id}::uuid)
        and (${after?.created_at}::timestamptz is null or created_at <= ${after?.created_at}::timestamptz)
      order by created_at desc, data_id
      limit ${lookMax}::integer
    ),
    passing as (select stream.* from ${runsIn('looked', isDistributed)} where ${passes(filter)})
    ${isSearch ? sql`, ${await ownersOf(organization)}, ${searchTables(filter, isDistributed)}` : sql``}
    (select data_id, created_at, true as is_found, 0 as looked from ${sql.ref(isSearch ? 'having_words' : 'passing')}
     order by created_at desc, data_id limit ${foundMax}::integer)
    union all
    (select data_id, created_at, false, (select count(*) from looked) from looked
     order by created_at, data_id desc limit 1)`.execute(kysely);
  const last = rows.find(({ is_found }) => !is_found);
  return {
    found: rows.filter(({ is_found }) => is_found).map(({ data_id, created_at }) => ({ data_id, created_at })),
    last: last && { data_id: last.data_id, created_at: last.created_at },
    looked: last?.looked ?? 0,
  };
}

/** The tables of what a filter can name: id, organization and name. */
const namedThings = {
  instrument: sql`growth_instruments as named (id, organization_id, user_id, name)`,
  tag: sql`tags as named (id, organization_id, user_id, name)`,
  user: sql`users as named (id, organization_id, name)`,
};

/** The ids of the things that have one of the given ids or folded names. */
export async function findIds(
  { organizationId, kysely }: OrganizationDatabase,
  what: keyof typeof namedThings,
  values: readonly string[],
  fold: Fold,
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id::text as id from ${namedThings[what]}
    where organization_id = ${organizationId}::uuid
      and (id::text = any(${values}::text[]) or ${sql.raw(fold('name'))} = any(${values}::text[]))`.execute(kysely);
  return rows.map(({ id }) => id);
}

/** Counts the runs that pass a filter without words, up to `countMax`. */
export async function countRuns(
  { organizationId, kysely }: OrganizationDatabase,
  filter: RunFilter,
  countMax: number,
): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from (
      select 1 from streams as stream
      where organization_id = ${organizationId}::uuid and deleted_at is null and ${passes(filter)}
      limit ${countMax}::integer
    ) as counted`.execute(kysely);
  return rows[0]?.count as number;
}

/** Unix seconds of the years 1 to 9999: the range that both PostgreSQL and ISO 8601 with four digits can express. */
const firstSecond = sql.raw('-62135596800');
const endSecond = sql.raw('253402300800');

/** The list entries of some runs, newest first. A run that does not exist any more is left out. */
export async function describeRuns(
  organization: OrganizationDatabase,
  dataIds: readonly string[],
  { idleSeconds, channelsCountedMax }: { idleSeconds: number; channelsCountedMax: number },
): Promise<Run[]> {
  const { organizationId, kysely } = organization;
  const { rows } = await sql<Run>`
    with ${await ownersOf(organization)}
    select stream.data_id, stream.stream_name as name,
      case when stream.finalized_at is not null then 'finalized'
        when greatest(stream.created_at, channel.changed_at) + make_interval(secs => ${idleSeconds}::float8)
          < clock_timestamp() then 'interrupted' else 'live' end as status,
      stream.created_at,
      case when channel.time_min >= ${firstSecond} and channel.time_min < ${endSecond}
        then to_timestamp(channel.time_min) end as started_at,
      channel.changed_at as last_chunk_at, stream.finalized_at, channel.time_max - channel.time_min as seconds,
      channel.channel_count, channel.point_count,
      case when channel.channel_count <= ${channelsCountedMax}::integer then (${missingChunks}) end as missing_chunk_count,
      case when sample.name is not null
        then json_build_object('id', sample.physical_sample_id, 'name', sample.name) end as sample,
      (${firstProject}) as project,
      case when instrument.source_name is not null
        then json_build_object('id', instrument.synth_source_id, 'name', instrument.source_name) end as instrument,
      array(
        select tag.name from stream_tags as tagged
        join tags as tag on tag.tag_id = tagged.tag_id and tag.organization_id = tagged.organization_id
        where tagged.data_id = stream.data_id and tagged.organization_id = stream.organization_id
        order by lower(tag.name)
      ) as tags,
      owner.name as user
    from streams as stream
    join owner on owner.user_id = stream.user_id and owner.organization_id = stream.organization_id
    left join growth_instruments as instrument
      on instrument.synth_source_id = stream.synth_source_id and instrument.organization_id = stream.organization_id
    left join physical_samples as sample
      on sample.physical_sample_id = stream.physical_sample_id and sample.organization_id = stream.organization_id
    cross join lateral (
      select min(time_min) as time_min, max(time_max) as time_max, max(changed_at) as changed_at,
        count(*) as channel_count, coalesce(sum(point_count), 0)::bigint as point_count
      from channels where channels.data_id = stream.data_id and channels.chunk_count > 0
    ) as channel
    where stream.organization_id = ${organizationId}::uuid and stream.data_id = any(${dataIds}::uuid[])
      and stream.deleted_at is null
    order by stream.created_at desc, stream.data_id`.execute(kysely);
  return rows;
}

/** SQL of the number of missing chunks: for each channel the indexes from 0 to its highest, minus the stored chunks. */
const missingChunks = sql`
  select coalesce(sum(highest.chunk_index + 1 - own.chunk_count), 0)::bigint
  from channels as own
  cross join lateral (
    select max(chunk_index) as chunk_index from chunks
    where chunks.data_id = own.data_id and chunks.channel_id = own.channel_id
  ) as highest
  where own.data_id = stream.data_id and own.chunk_count > 0`;

const firstProject = sql`
  select json_build_object('id', project.project_id, 'name', project.name) ${projectsOfStream}
  order by ${projectOrder} limit 1`;
