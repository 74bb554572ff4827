/* The statements of initialize and finalize, which run on connections of ingest. */
import type pg from 'pg';
import type { OrganizationDatabase } from '../database/organizations.ts';
import type { Patience } from '../database/transactions.ts';
import type { InitializeBody, StreamIds } from './schemas.ts';

/** How many samples a project may have, and how many projects a sample. */
export interface MemberLimits {
  projectSamplesMax: number;
  sampleProjectsMax: number;
}

export interface FoundLinks {
  instrument: boolean;
  sample: boolean;
  project: boolean;
  /** The sample is not in the project yet, and the project has no room for it. */
  isProjectFull: boolean;
  /** The same, where the sample has no room for another project. */
  isSampleFull: boolean;
}

/** Which of the things that a new stream links to are the organization's own, and whether they can be linked to each other. */
export async function findOwnLinks(
  { organizationId, runAsIngest }: OrganizationDatabase,
  patience: Patience,
  links: InitializeBody,
  { projectSamplesMax, sampleProjectsMax }: MemberLimits,
): Promise<FoundLinks> {
  const statement = {
    name: 'find_links',
    text: `
      select
        exists (select from growth_instruments
                where organization_id = $1::uuid and deleted_at is null and synth_source_id = $2::integer) as instrument,
        exists (select from physical_samples
                where organization_id = $1::uuid and physical_sample_id = $3::uuid) as sample,
        exists (select from projects where organization_id = $1::uuid and project_id = $4::uuid) as project,
        is_new and $5::integer <= (
          select count(*) from (
            select from project_physical_samples where organization_id = $1::uuid and project_id = $4::uuid limit $5::integer
          ) of_project
        ) as "isProjectFull",
        is_new and $6::integer <= (
          select count(*) from (
            select from project_physical_samples
            where organization_id = $1::uuid and physical_sample_id = $3::uuid limit $6::integer
          ) of_sample
        ) as "isSampleFull"
      from (
        select $3::uuid is not null and $4::uuid is not null and not exists (
          select from project_physical_samples
          where organization_id = $1::uuid and project_id = $4::uuid and physical_sample_id = $3::uuid
        ) as is_new
      ) pair`,
    values: [
      organizationId,
      links.synth_source_id ?? null,
      links.physical_sample_id ?? null,
      links.project_id ?? null,
      projectSamplesMax,
      sampleProjectsMax,
    ],
  };
  const { rows } = await runAsIngest<FoundLinks & pg.QueryResultRow>(statement, patience);
  return rows[0] as FoundLinks;
}

export type NewStream = Omit<InitializeBody, 'stream_name'> & StreamIds & { stream_name: string; user_id: string };

/**
 * Creates a stream and its processed entry, both or none. If an earlier attempt has created the stream, it stays as it
 * is; if an earlier attempt still runs, this one waits for it. A sample that is given with a project becomes a member
 * of it, as when the SDK tracks it there.
 */
export async function insertStream(
  organization: OrganizationDatabase,
  patience: Patience,
  stream: NewStream,
): Promise<StreamIds> {
  const { data_id, processed_data_id } = stream;
  const statements = (await organization.isDistributed())
    ? insertEach(organization, stream)
    : insertAll(organization, stream);
  await organization.runAsIngest(statements, patience);
  return { data_id, processed_data_id };
}

const streamSql = `
  insert into streams (data_id, organization_id, user_id, stream_name, points_per_chunk, instrument_type,
                       synth_source_id, physical_sample_id, project_id)
  values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::integer, $6::text, $7::integer, $8::uuid, $9::uuid)
  on conflict do nothing`;

const streamParameters = ({ organizationId }: OrganizationDatabase, stream: NewStream) => [
  stream.data_id,
  organizationId,
  stream.user_id,
  stream.stream_name,
  stream.points_per_chunk,
  stream.instrument_type ?? null,
  stream.synth_source_id ?? null,
  stream.physical_sample_id ?? null,
  stream.project_id ?? null,
];

/** @param members a query of its columns */
const memberSql = (members: string) => `
  member as (
    insert into project_physical_samples (project_id, physical_sample_id, organization_id, created_at)
    ${members}
    on conflict do nothing
    returning project_id
  )`;
/** @param organizationId a parameter */
const projectSql = (organizationId: string) => `
  update projects set changed_at = clock_timestamp()
  where organization_id = ${organizationId}::uuid and project_id in (select project_id from member)`;

function insertAll(organization: OrganizationDatabase, stream: NewStream): pg.QueryConfig {
  const members = `select project_id, physical_sample_id, organization_id, clock_timestamp() from stream
    where project_id is not null and physical_sample_id is not null`;
  return {
    name: 'insert_stream',
    text: `
      with stream as (${streamSql}
        returning data_id, organization_id, project_id, physical_sample_id
      ), ${memberSql(members)}, project as (${projectSql('$2')})
      insert into processed_data_entries (processed_data_id, data_id, organization_id)
      select $10::uuid, data_id, organization_id from stream`,
    values: [...streamParameters(organization, stream), stream.processed_data_id],
  };
}

/**
 * The same for a cluster, where a statement writes in tables of one kind only. Each of them does nothing where an earlier
 * attempt has done it.
 */
function insertEach(organization: OrganizationDatabase, stream: NewStream): pg.QueryConfig[] {
  const { data_id, processed_data_id, project_id, physical_sample_id } = stream;
  const { organizationId } = organization;
  const insert = [
    { text: streamSql, values: streamParameters(organization, stream) },
    {
      text: `insert into processed_data_entries (processed_data_id, data_id, organization_id)
             values ($1::uuid, $2::uuid, $3::uuid) on conflict do nothing`,
      values: [processed_data_id, data_id, organizationId],
    },
  ];
  if (project_id == null || physical_sample_id == null) return insert;
  const members = 'select $1::uuid, $2::uuid, $3::uuid, clock_timestamp()';
  const member = {
    text: `with ${memberSql(members)} ${projectSql('$3')}`,
    values: [project_id, physical_sample_id, organizationId],
  };
  return [...insert, member];
}

/** Marks a stream as finalized unless it is already. @returns its ids, or undefined for an unknown one. */
export async function finalizeStream(
  { organizationId, runAsIngest }: OrganizationDatabase,
  patience: Patience,
  dataId: string,
): Promise<StreamIds | undefined> {
  const values = [organizationId, dataId];
  const statement = {
    name: 'finalize_stream',
    text: `
      update streams set finalized_at = clock_timestamp(), changed_at = clock_timestamp()
      where organization_id = $1::uuid and data_id = $2::uuid and deleted_at is null and finalized_at is null`,
    values,
  };
  await runAsIngest(statement, patience);
  const { rows } = await runAsIngest<StreamIds & pg.QueryResultRow>(
    {
      name: 'find_stream_ids',
      text: `
        select p.data_id, p.processed_data_id
        from streams s join processed_data_entries p on p.data_id = s.data_id
        where s.organization_id = $1::uuid and s.data_id = $2::uuid and s.deleted_at is null`,
      values,
    },
    patience,
  );
  return rows[0];
}
