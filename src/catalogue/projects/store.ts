/**
 * Projects of an organization, one for each name (`one-per-name.ts`), and the samples that they track. The samples of a
 * project are the samples that it tracks. One of them may be the active one.
 */
import type { Static } from '@sinclair/typebox';
import { type RawBuilder, sql } from 'kysely';
import type pg from 'pg';
import type { OrganizationDatabase } from '../../database/organizations.ts';
import { hasSqlstate, sqlstates } from '../../database/sqlstates.ts';
import { inTransaction } from '../../database/transactions.ts';
import { ApiError, notFound } from '../../errors.ts';
import { isApart } from '../documents-apart.ts';
import type { CatalogueLimits } from '../limits.ts';
import { lockStreams } from '../lock-streams.ts';
import { findOrMake } from '../one-per-name.ts';
import { trimmedText } from '../trimmed-text.ts';
import type { Project } from './schemas.ts';

export type ProjectRow = Static<typeof Project>;

const columns = sql`
  project.project_id as id, project.name, project.created_at as created_datetime, project.changed_at as last_updated,
  owner.user_id as owner_id, owner.name as owner_name, null::json as detail_note,
  cardinality(member.ids) as physical_sample_count`;

const configurationOf = (document: RawBuilder<unknown>) => sql`
  json_build_object(
    'api_configuration', ${document},
    'tracking_physical_sample_ids', member.ids,
    'active_tracking_physical_sample_id', project.active_tracking_physical_sample_id
  ) as configuration`;

const source = sql`
  from projects as project
  join users as owner on owner.user_id = project.user_id and owner.organization_id = project.organization_id
  cross join lateral (
    select array(
      select member.physical_sample_id from project_physical_samples as member
      where member.project_id = project.project_id and member.organization_id = project.organization_id
      order by member.created_at, member.physical_sample_id
    ) as ids
  ) as member`;

/** The project with that id, with its whole configuration. */
export async function findProject(
  { organizationId, kysely }: OrganizationDatabase,
  projectId: string,
): Promise<ProjectRow | undefined> {
  const { rows } = await sql<ProjectRow>`
    select ${columns}, ${configurationOf(sql`project.api_configuration`)} ${source}
    where project.organization_id = ${organizationId}::uuid and project.project_id = ${projectId}::uuid`.execute(
    kysely,
  );
  return rows[0];
}

/**
 * The next of the organization's projects, newest first. If `is_apart`, the configuration is null here and must be read
 * separately.
 */
export async function nextProjects(
  { organizationId, kysely }: OrganizationDatabase,
  after: Pick<ProjectRow, 'id' | 'created_datetime'> | undefined,
  { listPageRowsMax, documentInlineBytesMax }: CatalogueLimits,
): Promise<(ProjectRow & { is_apart: boolean })[]> {
  const { rows } = await sql<ProjectRow & { is_apart: boolean }>`
    select ${columns}, document.is_apart,
      ${configurationOf(sql`case when not document.is_apart then project.api_configuration end`)}
    ${source}
    cross join lateral (select ${isApart('project.api_configuration', documentInlineBytesMax)} as is_apart) as document
    where project.organization_id = ${organizationId}::uuid
      and (${after?.id}::uuid is null
        or (project.created_at, ${after?.id}::uuid) < (${after?.created_datetime}::timestamptz, project.project_id))
    order by project.created_at desc, project.project_id
    limit ${listPageRowsMax}::integer`.execute(kysely);
  return rows;
}

/** The configuration of a project as JSON text; `null` if the project has been removed meanwhile. */
export async function readConfiguration({ organizationId, pool }: OrganizationDatabase, projectId: string) {
  const { rows } = await pool.query<{ text: string | null }>(
    `select api_configuration::text as text from projects
     where organization_id = $1::uuid and project_id = $2::uuid`,
    [organizationId, projectId],
  );
  return rows[0]?.text ?? 'null';
}

/**
 * Creates a project, or finds the one with that name, even if several clients create it at the same time.
 * @throws ApiError 422 for a name that is blank or too long
 */
export async function createProject(
  organization: OrganizationDatabase,
  userId: string,
  wanted: string,
): Promise<ProjectRow & { is_new: boolean }> {
  const name = trimmedText(wanted, 'name');
  const { id, isNew } = await findOrMake(organization, 'projects', name, async (client) => {
    const { rows } = await client.query<{ project_id: string }>(
      `insert into projects (organization_id, user_id, name) values ($1::uuid, $2::uuid, $3::text)
       on conflict do nothing returning project_id`,
      [organization.organizationId, userId, name],
    );
    return rows[0]?.project_id;
  });
  const project = await findProject(organization, id);
  if (project === undefined) throw new Error('a project that has just been there is gone');
  return { ...project, is_new: isNew };
}

export interface ProjectChange {
  /** JSON text of the client's own object, which replaces the present one. */
  apiConfiguration?: string;
  /** A sample to track from now on. */
  trackedSampleId?: string;
  /** Make that sample the active one. */
  setActive?: boolean;
}

/**
 * Applies all parts of a change to a project in one transaction. Repeating it changes nothing, not even `changed_at`.
 * @throws ApiError 404 for a project or a sample that the organization does not have; then nothing is changed
 */
export function changeProject(
  { organizationId, pool }: OrganizationDatabase,
  projectId: string,
  { apiConfiguration, trackedSampleId, setActive = false }: ProjectChange,
  limits: Pick<CatalogueLimits, 'projectSamplesMax' | 'sampleProjectsMax'>,
): Promise<void> {
  return inTransaction(pool, async (client) => {
    await lockProject(client, organizationId, projectId);
    if (trackedSampleId !== undefined) await addMember(client, organizationId, projectId, trackedSampleId, limits);
    await client.query(
      `update projects
       set api_configuration = coalesce($3::jsonb, api_configuration),
         active_tracking_physical_sample_id = coalesce($4::uuid, active_tracking_physical_sample_id),
         changed_at = clock_timestamp()
       where organization_id = $1::uuid and project_id = $2::uuid
         and ($3::jsonb is distinct from api_configuration and $3::jsonb is not null
           or $4::uuid is distinct from active_tracking_physical_sample_id and $4::uuid is not null)`,
      [organizationId, projectId, apiConfiguration, setActive ? trackedSampleId : undefined],
    );
  });
}

async function lockProject(client: pg.PoolClient, organizationId: string, projectId: string): Promise<void> {
  const { rowCount } = await client.query(
    `select from projects where organization_id = $1::uuid and project_id = $2::uuid for no key update`,
    [organizationId, projectId],
  );
  if (rowCount === 0) throw notFound(`Project ${projectId}`);
}

async function addMember(
  client: pg.PoolClient,
  organizationId: string,
  projectId: string,
  sampleId: string,
  { projectSamplesMax, sampleProjectsMax }: Pick<CatalogueLimits, 'projectSamplesMax' | 'sampleProjectsMax'>,
) {
  const { rowCount: known } = await client.query(
    `select from physical_samples where organization_id = $1::uuid and physical_sample_id = $2::uuid`,
    [organizationId, sampleId],
  );
  if (known === 0) throw notFound(`Physical sample ${sampleId}`);
  const { rowCount: added } = await client.query(
    `insert into project_physical_samples (organization_id, project_id, physical_sample_id, created_at)
     values ($1::uuid, $2::uuid, $3::uuid, clock_timestamp()) on conflict do nothing`,
    [organizationId, projectId, sampleId],
  );
  if (added === 0) return;
  const { rows } = await client.query<{ samples: number; projects: number }>(
    `select (select count(*) from project_physical_samples where organization_id = $1::uuid and project_id = $2::uuid)
              as samples,
            (select count(*) from project_physical_samples where organization_id = $1::uuid and physical_sample_id = $3::uuid)
              as projects`,
    [organizationId, projectId, sampleId],
  );
  const { samples, projects } = rows[0] as { samples: number; projects: number };
  if (samples > projectSamplesMax)
    throw new ApiError('conflict', `A project has at most ${projectSamplesMax} samples.`);
  if (projects > sampleProjectsMax)
    throw new ApiError('conflict', `A sample has at most ${sampleProjectsMax} projects.`);
  await client.query(
    `update projects set changed_at = clock_timestamp() where organization_id = $1::uuid and project_id = $2::uuid`,
    [organizationId, projectId],
  );
}

/** Unlinks streams of a project from it, at most `countMax`. @returns how many it looked at */
export function unlinkStreams(
  organization: OrganizationDatabase,
  projectId: string,
  countMax: number,
): Promise<number> {
  const { organizationId, pool } = organization;
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ data_id: string }>(
      `select data_id from streams where organization_id = $1::uuid and project_id = $2::uuid
       order by data_id limit $3::integer`,
      [organizationId, projectId, countMax],
    );
    if (rows.length === 0) return 0;
    const dataIds = rows.map((row) => row.data_id);
    await lockStreams(client, organization, dataIds);
    await client.query(
      `update streams set project_id = null, changed_at = clock_timestamp()
       where organization_id = $1::uuid and data_id = any($2::uuid[]) and project_id = $3::uuid`,
      [organizationId, dataIds, projectId],
    );
    return rows.length;
  });
}

/**
 * Removes a project and its links to samples.
 * @returns false, and removes nothing, while the project has streams. On one PostgreSQL a lock keeps new streams from it. A
 * cluster has a copy of the project on every node; there the foreign key refuses the removal
 */
export async function removeProject(organization: OrganizationDatabase, projectId: string): Promise<boolean> {
  const { organizationId, pool } = organization;
  const ids = [organizationId, projectId];
  const own = 'organization_id = $1::uuid and project_id = $2::uuid';
  const isCluster = await organization.isDistributed();
  try {
    return await inTransaction(pool, async (client) => {
      if (!isCluster) {
        await client.query(`select from projects where ${own} for update`, ids);
        const { rowCount } = await client.query(`select from streams where ${own} limit 1`, ids);
        if (rowCount !== 0) return false;
      }
      await client.query(`delete from project_physical_samples where ${own}`, ids);
      await client.query(`delete from projects where ${own}`, ids);
      return true;
    });
  } catch (error) {
    if (isCluster && hasSqlstate(error, sqlstates.foreignKeyViolation)) return false;
    throw error;
  }
}
