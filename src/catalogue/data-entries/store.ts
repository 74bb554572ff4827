/** The catalogue's view of streams. What it shows of a stream is derived from the stream, its channels and its links. */
import type { Static } from '@sinclair/typebox';
import { sql } from 'kysely';
import type { OrganizationDatabase } from '../../database/organizations.ts';
import { inTransaction } from '../../database/transactions.ts';
import { notFound } from '../../errors.ts';
import { requireAll } from '../ids.ts';
import { lockStreams } from '../lock-streams.ts';
import { inFirst, ownersOf } from '../owners.ts';
import { projectOrder, projectsOfStream } from '../projects-of-stream.ts';
import type { Words } from '../words.ts';
import { hasWords, namesApart } from './entry-words.ts';
import type { DataEntry, DataEntryChange, DataEntryQuery } from './schemas.ts';

export type DataEntryFilter = Omit<
  DataEntryQuery,
  'include_organization_data' | 'data_type' | 'status' | 'keywords'
> & {
  /** An entry passes if it has all words of any one keyword. */
  words?: Words | undefined;
  /** Seconds without a chunk after which an open stream shows as interrupted. */
  idle_seconds: number;
  /** Only entries of this user. */
  user_id?: string | undefined;
  pipeline_status?: string | undefined;
};

/** The position of an entry in the order of a search: newest first. */
export interface EntryPlace {
  data_id: string;
  upload_datetime: string;
}

/**
 * The next entries of an organization, in the order of a search, that pass those filters that need only the row of the
 * stream; at most `countMax`.
 */
export async function nextEntries(
  { organizationId, kysely }: OrganizationDatabase,
  filter: DataEntryFilter,
  after: EntryPlace | undefined,
  countMax: number,
): Promise<EntryPlace[]> {
  const { rows } = await sql<EntryPlace>`
    select data_id, created_at as upload_datetime from streams
    where organization_id = ${organizationId}::uuid and deleted_at is null
      and (${after?.data_id}::uuid is null or created_at < ${after?.upload_datetime}::timestamptz
        or created_at = ${after?.upload_datetime}::timestamptz and data_id > ${after?.data_id}::uuid)
      and (${after?.upload_datetime}::timestamptz is null or created_at <= ${after?.upload_datetime}::timestamptz)
      and (${filter.user_id}::uuid is null or user_id = ${filter.user_id}::uuid)
      and (${filter.data_ids}::uuid[] is null or data_id = any(${filter.data_ids}::uuid[]))
      and (${filter.physical_sample_ids}::uuid[] is null
        or physical_sample_id = any(${filter.physical_sample_ids}::uuid[]))
      and ${between('created_at', filter.upload_datetime_min, filter.upload_datetime_max)}
    order by created_at desc, data_id
    limit ${countMax}::integer`.execute(kysely);
  return rows;
}

/** Those of some entries that pass every given filter, newest first. Times in the filter are text that PostgreSQL reads. */
export async function findDataEntries(
  organization: OrganizationDatabase,
  dataIds: readonly string[],
  filter: DataEntryFilter,
): Promise<Static<typeof DataEntry>[]> {
  const { organizationId, kysely } = organization;
  const isDistributed = await organization.isDistributed();
  const { rows } = await sql<Static<typeof DataEntry>>`
    with ${await ownersOf(organization)},
    entry as ${inFirst(isDistributed)} (${entries(organizationId, dataIds, filter.idle_seconds)})
    ${isDistributed && filter.words !== undefined ? sql`, ${namesApart(organizationId, dataIds)}` : sql``}
    select entry.* from entry
    where (${showsOrphans(filter)}::boolean or not is_orphan)
      and (${filter.project_ids}::uuid[] is null or exists (
        select from json_array_elements(projects) as project
        where (project ->> 'id')::uuid = any(${filter.project_ids}::uuid[])
      ))
      and (${filter.pipeline_status}::text is null or pipeline_status = ${filter.pipeline_status}::text)
      and (${filter.growth_length_min}::float8 is null or growth_length >= ${filter.growth_length_min}::float8)
      and (${filter.growth_length_max}::float8 is null or growth_length <= ${filter.growth_length_max}::float8)
      and ${between('last_updated', filter.last_updated_min, filter.last_updated_max)}
      and ${between('last_accessed_datetime', filter.last_accessed_datetime_min, filter.last_accessed_datetime_max)}
      and ${filter.words === undefined ? sql`true` : hasWords(filter.words, isDistributed)}
    order by upload_datetime desc, data_id`.execute(kysely);
  return rows;
}

/**
 * An entry that the request names by id is always shown: the SDK looks for a stream by its id right after it has opened it.
 */
const showsOrphans = ({ include_orphans = false, data_ids }: DataEntryFilter) =>
  include_orphans || data_ids !== undefined;

/** Bounds are inclusive. An absent bound has no effect. */
function between(column: string, minimum: string | undefined, maximum: string | undefined) {
  return sql`(${minimum}::timestamptz is null or ${sql.ref(column)} >= ${minimum}::timestamptz)
    and (${maximum}::timestamptz is null or ${sql.ref(column)} <= ${maximum}::timestamptz)`;
}

/** Unix seconds of the years 1 to 9999: the range that both PostgreSQL and ISO 8601 with four digits can express. */
const firstSecond = sql.raw('-62135596800');
const endSecond = sql.raw('253402300800');

/** SQL of some entries of an organization. The caller may filter on any of its columns. */
function entries(organizationId: string, dataIds: readonly string[], idleSeconds: number) {
  return sql`
    select stream.data_id, stream.stream_name as raw_name,
      coalesce(stream.char_source_type, 'metrology') as char_source_type,
      coalesce(stream.pipeline_status, case when stream.finalized_at is not null then 'success'
        when channel.is_idle then 'stream_interrupted' else 'stream_active' end) as pipeline_status,
      channel.is_idle and channel.chunk_count = 0 and stream.finalized_at is null
        and stream.pipeline_status is null as is_orphan,
      'stream'::text as raw_file_type, null::text as processed_file_type, null::text as bucket_file_name,
      stream.synth_source_id, instrument.source_name, sample.sample_id, sample.name as sample_name,
      stream.physical_sample_id, sample.name as physical_sample_name, (${projects}) as projects,
      channel.time_max - channel.time_min as growth_length, stream.created_at as upload_datetime,
      greatest(stream.changed_at, channel.changed_at) as last_updated,
      greatest(stream.changed_at, channel.changed_at) as last_accessed_datetime,
      case when channel.time_min >= ${firstSecond} and channel.time_min < ${endSecond}
        then to_timestamp(channel.time_min) end as collected_datetime,
      stream.note as detail_note_content, stream.note_changed_at as detail_note_last_updated,
      json_build_object(
        'points_per_chunk', stream.points_per_chunk, 'instrument_type', stream.instrument_type,
        'processed_data_id', processed.processed_data_id,
        'finalized_at', to_char(stream.finalized_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'channel_count', channel.channel_count, 'chunk_count', channel.chunk_count, 'point_count', channel.point_count
      ) as file_metadata,
      array(
        select tag.name from stream_tags as tagged
        join tags as tag on tag.tag_id = tagged.tag_id and tag.organization_id = tagged.organization_id
        where tagged.data_id = stream.data_id and tagged.organization_id = stream.organization_id
        order by lower(tag.name)
      ) as tags,
      stream.user_id, owner.name, array[]::text[] as workspaces, null::text as sha3_256, false as has_instrument_logs
    from streams as stream
    join owner on owner.user_id = stream.user_id and owner.organization_id = stream.organization_id
    left join growth_instruments as instrument
      on instrument.synth_source_id = stream.synth_source_id and instrument.organization_id = stream.organization_id
    left join physical_samples as sample
      on sample.physical_sample_id = stream.physical_sample_id and sample.organization_id = stream.organization_id
    left join processed_data_entries as processed
      on processed.data_id = stream.data_id and processed.organization_id = stream.organization_id
    cross join lateral (${channelsOfStream(idleSeconds)}) as channel
    where stream.organization_id = ${organizationId}::uuid and stream.data_id = any(${dataIds}::uuid[])
      and stream.deleted_at is null`;
}

const projects = sql`
  select coalesce(json_agg(
    json_build_object('id', project.project_id, 'name', project.name) order by ${projectOrder}
  ), '[]'::json) ${projectsOfStream}`;

const channelsOfStream = (idleSeconds: number) => sql`
  select min(time_min) as time_min, max(time_max) as time_max, max(changed_at) as changed_at,
    count(*) as channel_count, coalesce(sum(chunk_count), 0)::bigint as chunk_count,
    coalesce(sum(point_count), 0)::bigint as point_count,
    greatest(stream.created_at, max(changed_at)) + make_interval(secs => ${idleSeconds}::float8)
      < clock_timestamp() as is_idle
  from channels where channels.data_id = stream.data_id`;

/**
 * Links streams to the sample that they come from, and replaces an earlier link. A stream that already has this link is not
 * changed. The ids must be distinct and in lower case.
 * @throws ApiError 404 with the first stream, or the sample, that the organization does not have; then nothing is changed
 */
export function linkPhysicalSample(
  organization: OrganizationDatabase,
  dataIds: string[],
  physicalSampleId: string,
): Promise<void> {
  const { organizationId, pool } = organization;
  return inTransaction(pool, async (client) => {
    const sample = await client.query(
      `select from physical_samples where organization_id = $1::uuid and physical_sample_id = $2::uuid`,
      [organizationId, physicalSampleId],
    );
    if (sample.rowCount === 0) throw notFound(`Physical sample ${physicalSampleId}`);
    requireAll('Data entry', dataIds, await lockStreams(client, organization, dataIds));
    await client.query(
      `update streams set physical_sample_id = $3::uuid, changed_at = clock_timestamp()
       where organization_id = $1::uuid and data_id = any($2::uuid[])
         and physical_sample_id is distinct from $3::uuid`,
      [organizationId, dataIds, physicalSampleId],
    );
  });
}

/**
 * Changes the given fields where they differ. It is no error if the stream is unknown: the read that follows finds that.
 */
export async function updateStream(
  { organizationId, kysely }: OrganizationDatabase,
  dataId: string,
  { raw_name, detail_note_content: note, pipeline_status, char_source_type }: DataEntryChange,
): Promise<void> {
  await sql`
    with wanted as (
      select data_id, coalesce(${raw_name}::text, stream_name) as stream_name,
        case when ${pipeline_status !== undefined}::boolean then ${pipeline_status}::text else pipeline_status end
          as pipeline_status,
        case when ${char_source_type !== undefined}::boolean then ${char_source_type}::text else char_source_type end
          as char_source_type,
        case when ${note !== undefined}::boolean then ${note}::text else note end as note,
        clock_timestamp() as now
      from streams
      where organization_id = ${organizationId}::uuid and data_id = ${dataId}::uuid and deleted_at is null
      for no key update
    )
    update streams as stream
    set stream_name = wanted.stream_name, pipeline_status = wanted.pipeline_status,
      char_source_type = wanted.char_source_type, note = wanted.note,
      note_changed_at = case when wanted.note is null then null
        when stream.note is distinct from wanted.note then wanted.now else stream.note_changed_at end,
      changed_at = wanted.now
    from wanted
    where stream.data_id = wanted.data_id and stream.data_id = ${dataId}::uuid
      and (stream.stream_name, stream.pipeline_status, stream.char_source_type, stream.note)
        is distinct from (wanted.stream_name, wanted.pipeline_status, wanted.char_source_type, wanted.note)`.execute(
    kysely,
  );
}
