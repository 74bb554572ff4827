/* Finds due runs in all organizations, for the operator's command only: no route calls it. */
import type { Database } from '../database/database.ts';
import { totalSizeFunction } from '../database/distribution.ts';
import { findFolding } from '../database/folding.ts';
import type { Named } from './archive-format.ts';
import type { Rule } from './rules.ts';

/** A run that a rule matches. */
export interface DueRun {
  dataId: string;
  organizationId: string;
  name: string;
  points: number;
  chunks: number;
  channels: number;
  /** Finalized, or left open. */
  isFinalized: boolean;
  /** Latest change of a chunk, of its entry or of its state; ISO 8601. */
  changedAt: string;
}

/** Whether the organization, project and tag that a rule names exist. */
export interface RuleScope {
  organization: boolean;
  project: boolean;
  tag: boolean;
}

/** Gives SQL that compares a name with a parameter, by the rules for all names (`database/folding.ts`). */
async function comparison({ everyOrganization }: Database): Promise<(column: string, parameter: string) => string> {
  const fold = await findFolding(everyOrganization.upkeep.pool);
  return (column, parameter) => `${fold(column)} = ${fold(`btrim(${parameter}::text)`)}`;
}

export async function findScope(database: Database, { organization, project, tag }: Rule): Promise<RuleScope> {
  const isNamed = await comparison(database);
  const { rows } = await database.everyOrganization.upkeep.pool.query<RuleScope>(
    `with o as (select organization_id from organizations where ${isNamed('name', '$1')})
     select exists (select from o) as organization,
            $2::text is null or exists (select from projects p join o using (organization_id) where ${isNamed('p.name', '$2')}) as project,
            $3::text is null or exists (select from tags t join o using (organization_id) where ${isNamed('t.name', '$3')}) as tag`,
    [organization, project ?? null, tag ?? null],
  );
  return rows[0] as RuleScope;
}

/**
 * The next runs that a rule matches, in the order of their ids. The age of a run counts from its last change: a chunk,
 * finalize, an edit of its entry, or a restore. Deleted runs are left alone: they can still be restored, and can be removed
 * by the API.
 */
export async function listDueRuns(database: Database, rule: Rule, after: string, limit: number): Promise<DueRun[]> {
  const isNamed = await comparison(database);
  const organization = await findOrganization(database, rule.organization);
  if (organization === undefined) return [];
  const { rows } = await database.everyOrganization.upkeep.pool.query<DueRun>(
    `select s.data_id as "dataId", s.organization_id as "organizationId", s.stream_name as name,
            coalesce(c.points, 0)::bigint as points, coalesce(c.chunks, 0)::bigint as chunks, coalesce(c.channels, 0)::bigint as channels,
            s.finalized_at is not null as "isFinalized", greatest(s.created_at, s.changed_at, c.changed_at) as "changedAt"
     from streams s
     left join lateral (
       select data_id, sum(point_count) as points, sum(chunk_count) as chunks, count(*) as channels, max(changed_at) as changed_at
       from channels where data_id = s.data_id group by data_id
     ) c on true
     where s.organization_id = $1::uuid and s.deleted_at is null and s.data_id > $5::uuid
       and ($2::text is null or s.project_id in (
         select project_id from projects p where p.organization_id = $1::uuid and ${isNamed('p.name', '$2')}))
       and ($3::text is null or exists (
         select from stream_tags l join tags t on t.tag_id = l.tag_id
         where l.data_id = s.data_id and ${isNamed('t.name', '$3')}))
       and greatest(s.created_at, s.changed_at, c.changed_at) < now() - make_interval(secs => $4::float8)
     order by s.data_id limit $6::integer`,
    [organization, rule.project ?? null, rule.tag ?? null, rule.olderThanSeconds, after, limit],
  );
  return rows;
}

async function findOrganization(database: Database, name: string): Promise<string | undefined> {
  const isNamed = await comparison(database);
  const { rows } = await database.everyOrganization.upkeep.pool.query<{ id: string }>(
    `select organization_id as id from organizations where ${isNamed('name', '$1')}`,
    [name],
  );
  return rows[0]?.id;
}

/** About how many bytes a point takes in the database, with indexes. */
export async function findBytesPerPoint(database: Database): Promise<number> {
  const size = totalSizeFunction(await database.isDistributed());
  const { rows } = await database.everyOrganization.upkeep.pool.query<{ bytes: number }>(
    `select (${size}('chunks') / greatest(1, (select coalesce(sum(point_count), 0) from channels)))::float8 as bytes`,
  );
  return rows[0]?.bytes as number;
}

/** Runs that are being removed: on request, by retention, or as the remains of an interrupted restore. */
export async function listGivenUp(database: Database): Promise<{ dataId: string; organizationId: string }[]> {
  const { rows } = await database.everyOrganization.upkeep.pool.query<{ dataId: string; organizationId: string }>(
    `select data_id as "dataId", organization_id as "organizationId" from streams where removed_at is not null order by data_id`,
  );
  return rows;
}

/** The organization with an id, else the one with a name; undefined where there is neither. */
export async function findArchivedOrganization(
  database: Database,
  { id, name }: { id: string | null; name: string },
): Promise<Named | undefined> {
  const isNamed = await comparison(database);
  const { rows } = await database.everyOrganization.upkeep.pool.query<Named>(
    `select organization_id as id, name from organizations
     where organization_id = $1::uuid or ${isNamed('name', '$2')}
     order by organization_id = $1::uuid desc nulls last limit 1`,
    [id, name],
  );
  return rows[0];
}
