/** The facts that an export shows about streams and their channels. Points are read by the read engine (`points/`). */
import { actorParameter, auditEntries } from '../database/audit.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';

export interface StreamRow {
  data_id: string;
  stream_name: string;
  points_per_chunk: number;
  created_at: string;
  finalized_at: string | null;
  instrument_type: string | null;
  instrument: { id: number; name: string; type: string; model: string | null; serial_id: string | null } | null;
  physical_sample: { id: string; name: string } | null;
  project: { id: string; name: string } | null;
  tags: string[];
  user: string;
}

/** A channel with its exact counters. Times are in Unix seconds, null where no point has a possible time. */
export interface CountedChannel {
  data_id: string;
  channel_id: number;
  channel_name: string;
  units: string | null;
  chunk_count: number;
  point_count: number;
  time_min: number | null;
  time_max: number | null;
}

/**
 * Those of the streams that the organization has, in the order of the ids, with instrument, sample, project, tags and user.
 */
export async function findStreamsToExport(
  { organizationId, pool }: OrganizationDatabase,
  dataIds: readonly string[],
): Promise<StreamRow[]> {
  // Of a single stream the statement says so for each table, and is sent to its node in a cluster.
  const isOne = dataIds.length === 1;
  const { rows } = await pool.query<Omit<StreamRow, 'user'> & { user_id: string }>({
    name: isOne ? 'find_stream_to_export' : 'find_streams_to_export',
    text: `
      select s.data_id, s.stream_name, s.points_per_chunk, s.created_at, s.finalized_at, s.instrument_type,
        case when i.synth_source_id is not null then json_build_object('id', i.synth_source_id, 'name', i.source_name,
          'type', i.synth_source_type, 'model', i.source_model, 'serial_id', i.serial_id) end as instrument,
        case when p.physical_sample_id is not null
          then json_build_object('id', p.physical_sample_id, 'name', p.name) end as physical_sample,
        case when j.project_id is not null then json_build_object('id', j.project_id, 'name', j.name) end as project,
        array(
          select t.name from stream_tags l
          join tags t on t.tag_id = l.tag_id and t.organization_id = l.organization_id
          where l.data_id = ${isOne ? '($2::uuid[])[1]' : 's.data_id'} and l.organization_id = s.organization_id order by lower(t.name)
        ) as tags,
        s.user_id
      from unnest($2::uuid[]) with ordinality as wanted (data_id, position)
      join streams s on s.data_id = wanted.data_id
      left join growth_instruments i
        on i.synth_source_id = s.synth_source_id and i.organization_id = s.organization_id
      left join physical_samples p
        on p.physical_sample_id = s.physical_sample_id and p.organization_id = s.organization_id
      left join projects j on j.project_id = s.project_id and j.organization_id = s.organization_id
      where s.organization_id = $1::uuid and s.deleted_at is null and s.data_id = any($2::uuid[])
      order by wanted.position`,
    values: [organizationId, dataIds],
  });
  // A statement of their own: in a cluster, users are not where the streams are.
  const users = await pool.query<{ user_id: string; name: string }>({
    name: 'name_users_of_exports',
    text: 'select user_id, name from users where organization_id = $1::uuid and user_id = any($2::uuid[])',
    values: [organizationId, [...new Set(rows.map(({ user_id }) => user_id))]],
  });
  const names = new Map(users.rows.map(({ user_id, name }) => [user_id, name]));
  return rows.map(({ user_id, ...more }) => ({ ...more, user: names.get(user_id) as string }));
}

/**
 * The channels of streams that hold points, all or those with the given names, in the order of the UTF-8 bytes of their
 * names; at most `countMax`.
 */
export async function listChannelsToExport(
  { organizationId, pool }: OrganizationDatabase,
  dataIds: readonly string[],
  channelNames: readonly string[] | undefined,
  countMax: number,
): Promise<CountedChannel[]> {
  const { rows } = await pool.query<CountedChannel>({
    name: 'list_channels_to_export',
    text: `
      select c.data_id, c.channel_id, c.channel_name, c.units, c.chunk_count, c.point_count, c.time_min, c.time_max
      from channels c join streams s on s.data_id = c.data_id
      where s.organization_id = $1::uuid and s.deleted_at is null and c.data_id = any($2::uuid[]) and c.point_count > 0
        and ($3::text[] is null or c.channel_name = any($3::text[]))
      order by c.channel_name collate "C" limit $4::integer`,
    values: [organizationId, dataIds, channelNames ?? null, countMax],
  });
  return rows;
}

/** What shows whether the content of streams has changed. */
export interface ContentState {
  /** Whether all of them are finalized and past the grace for late chunks. */
  is_complete: boolean;
  /** When any of the streams or their channels was last changed; null without streams. */
  changed_at: string | null;
  /** A digest of the counters and change times of all their channels. */
  digest: string;
}

export async function findContentState(
  { organizationId, pool }: OrganizationDatabase,
  dataIds: readonly string[],
  graceSeconds: number,
): Promise<ContentState> {
  const isOne = dataIds.length === 1;
  const { rows } = await pool.query<ContentState>({
    name: isOne ? 'find_standing_of_export' : 'find_standing_of_exports',
    text: `
      select coalesce(bool_and(coalesce(s.finalized_at + make_interval(secs => $3::float8) < clock_timestamp(), false)), false)
          as is_complete,
        greatest(max(s.changed_at), max(c.changed_at)) as changed_at,
        encode(sha256(coalesce(string_agg(c.digest, '' order by s.data_id), '')::bytea), 'hex') as digest
      from streams s cross join lateral (
        select max(changed_at) as changed_at, string_agg(
          concat_ws(',', channel_id, chunk_count, point_count, null_count, extract(epoch from changed_at)), ';' order by channel_id
        ) as digest
        from channels where channels.data_id = ${isOne ? '($2::uuid[])[1]' : 's.data_id'}
      ) c
      where s.organization_id = $1::uuid and s.deleted_at is null and s.data_id = any($2::uuid[])`,
    values: [organizationId, dataIds, graceSeconds],
  });
  return rows[0] as ContentState;
}

/**
 * Writes into the audit log that a file of some streams is taken, which the organization was found to have: one entry for each stream, form and minute. */
export async function auditExport(
  { organizationId, pool, actor }: OrganizationDatabase,
  streams: readonly Pick<StreamRow, 'data_id' | 'stream_name'>[],
  what: { format: string; layout: string },
): Promise<void> {
  const text = auditEntries(
    'export',
    {
      // In the order of ids, so that two exports of the same streams cannot deadlock.
      from: `(select * from unnest($3::uuid[], $4::text[]) as given (data_id, stream_name) order by data_id) as taken
             cross join jsonb_to_record($5::jsonb) as form (format text, layout text)`,
      organizationId: '$2::uuid',
      dataId: 'taken.data_id',
      details: `jsonb_build_object('stream_name', left(stream_name, 200), 'format', format, 'layout', layout)`,
      once: `format || ' ' || layout`,
    },
    '$1',
  );
  const [dataIds, names] = [streams.map((one) => one.data_id), streams.map((one) => one.stream_name)];
  await pool.query(text, [actorParameter(actor), organizationId, dataIds, names, JSON.stringify(what)]);
}
