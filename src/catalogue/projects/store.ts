/**
 * Projects of an organization, one per name without regard to case, and the samples that they track. The samples of a
 * project and the samples that it tracks are the same; one of them may be the active one.
 */
import type { Static } from '@sinclair/typebox';
import { sql } from 'kysely';
import type pg from 'pg';
import { type Database, inTransaction } from '../../database/database.ts';
import { notFound } from '../../errors.ts';
import { trimmedText } from '../names.ts';
import type { Project } from './schemas.ts';

export type ProjectRow = Static<typeof Project>;

export interface ProjectFilter {
  project_id?: string;
  name?: string;
}

/** The organization's projects that pass the filter, newest first. */
export async function listProjects(
  database: Database,
  organizationId: string,
  { project_id = undefined, name = undefined }: ProjectFilter = {},
): Promise<ProjectRow[]> {
  const { rows } = await sql<ProjectRow>`
    select project.project_id as id, project.name, project.created_at as created_datetime,
      project.changed_at as last_updated, owner.user_id as owner_id, owner.name as owner_name,
      null::json as detail_note, cardinality(member.ids) as physical_sample_count,
      json_build_object(
        'api_configuration', project.api_configuration,
        'tracking_physical_sample_ids', member.ids,
        'active_tracking_physical_sample_id', project.active_tracking_physical_sample_id
      ) as configuration
    from projects as project
    join users as owner on owner.user_id = project.user_id and owner.organization_id = project.organization_id
    cross join lateral (
      select array(
        select member.physical_sample_id from project_physical_samples as member
        where member.project_id = project.project_id and member.organization_id = project.organization_id
        order by member.created_at, member.physical_sample_id
      ) as ids
    ) as member
    where project.organization_id = ${organizationId}::uuid
      and (${project_id}::uuid is null or project.project_id = ${project_id}::uuid)
      and (${name}::text is null or lower(btrim(project.name)) = lower(btrim(${name}::text)))
    order by project.created_at desc, project.project_id`.execute(database.as(organizationId).kysely);
  return rows;
}

/**
 * Creates a project or finds the one of that name, whoever else creates it at the same time.
 * @throws ApiError 422 for a name that is blank or too long.
 */
export async function createProject(
  database: Database,
  organizationId: string,
  userId: string,
  wanted: string,
): Promise<ProjectRow & { is_new: boolean }> {
  const name = trimmedText(wanted, 'name');
  const { rows } = await sql<{ project_id: string }>`
    insert into projects (organization_id, user_id, name)
    values (${organizationId}::uuid, ${userId}::uuid, ${name}::text)
    on conflict do nothing
    returning project_id`.execute(database.as(organizationId).kysely);
  const created = rows[0];
  const [project] = await listProjects(database, organizationId, created ?? { name });
  if (project === undefined) throw new Error('a project that has just been there is gone');
  return { ...project, is_new: created !== undefined };
}

export interface ProjectChange {
  /** JSON text of the client's own object, which takes the place of the one before. */
  apiConfiguration?: string;
  /** A sample to track from now on. */
  trackedSampleId?: string;
  /** Make that sample the active one. */
  setActive?: boolean;
}

/**
 * Applies a change to a project as a whole. Repeating it changes nothing, not even `changed_at`.
 * @throws ApiError 404 for a project or a sample that the organization does not have; nothing is changed.
 */
export function changeProject(
  database: Database,
  organizationId: string,
  projectId: string,
  { apiConfiguration, trackedSampleId, setActive = false }: ProjectChange,
): Promise<void> {
  return inTransaction(database.as(organizationId).pool, async (client) => {
    await lockProject(client, organizationId, projectId);
    if (trackedSampleId !== undefined) await addMember(client, organizationId, projectId, trackedSampleId);
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

async function addMember(client: pg.PoolClient, organizationId: string, projectId: string, sampleId: string) {
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
  await client.query(
    `update projects set changed_at = clock_timestamp() where organization_id = $1::uuid and project_id = $2::uuid`,
    [organizationId, projectId],
  );
}
