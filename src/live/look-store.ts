/* The looks of a server process at all followed runs, of every organization. They read no names and no points. */
import type { Database } from '../database/database.ts';
import { type Micros, micros, type RunStatus, statusSql } from './run-facts.ts';

/** A run as a look finds it. */
export interface SeenRun {
  dataId: string;
  organizationId: string;
  status: RunStatus;
  /** Changes whenever any of its channels changes. */
  mark: string;
}

/** A run of a list. */
export interface ListedRun extends SeenRun {
  /** It is among the newest of its organization. */
  isNewest: boolean;
  /** When the run or one of its channels was last changed. */
  changedAt: Micros;
}

/** Adds up the change times of all channels exactly. Every change of a channel sets a new time, so the sum changes. */
const markSql = `
  select max(changed_at) as changed_at, count(*) || ' ' || coalesce(sum(extract(epoch from changed_at)), 0) as mark
  from channels where data_id = s.data_id and chunk_count > 0`;

const seenSql = `s.data_id as "dataId", s.organization_id as "organizationId", ${statusSql} as status, c.mark`;

/** Looks at some runs. Runs that do not exist, or were deleted, are not in the answer. */
export async function lookAtRuns(
  database: Database,
  dataIds: readonly string[],
  idleSeconds: number,
): Promise<SeenRun[]> {
  const { rows } = await database.everyOrganization.upkeep.pool.query<SeenRun>({
    name: 'look_at_followed_runs',
    text: `select ${seenSql}
           from streams s cross join lateral (${markSql}) c
           where s.data_id = any($1::uuid[]) and s.deleted_at is null`,
    values: [dataIds, idleSeconds],
  });
  return rows;
}

/** Which runs a look at the lists covers. */
export interface ListScope {
  organizationIds: readonly string[];
  /** The newest runs of each organization: this many. */
  listedRunsMax: number;
  /** Also these runs. */
  dataIds: readonly string[];
  /** Also all runs that are not finalized. */
  withOpen: boolean;
}

/** @param isNewest SQL */
const listedSql = (isNewest: string) => `
  ${seenSql}, ${isNewest} as "isNewest", ${micros('greatest(s.changed_at, c.changed_at)')} as "changedAt"`;

/** Looks at the newest runs of some organizations, and at others that may change. */
export async function lookAtLists(database: Database, scope: ListScope, idleSeconds: number): Promise<ListedRun[]> {
  if (await database.isDistributed()) return lookAtListsOfCluster(database, scope, idleSeconds);
  const { organizationIds, listedRunsMax, dataIds, withOpen } = scope;
  const columns = 'data_id, organization_id, created_at, changed_at, finalized_at';
  const { rows } = await database.everyOrganization.upkeep.pool.query<ListedRun>({
    name: 'look_at_lists_of_runs',
    text: `select ${listedSql('s.is_newest')}
           from (
             select ${columns}, bool_or(is_newest) as is_newest from (
               select newest.*, true as is_newest from unnest($1::uuid[]) as asked (organization_id)
               cross join lateral (
                 select ${columns} from streams where organization_id = asked.organization_id and deleted_at is null
                 order by created_at desc, data_id limit $3::integer
               ) newest
               union all
               select ${columns}, false from streams
               where data_id = any($4::uuid[]) and organization_id = any($1::uuid[]) and deleted_at is null
               union all
               select ${columns}, false from streams
               where $5::boolean and organization_id = any($1::uuid[]) and finalized_at is null and deleted_at is null
             ) found group by ${columns}
           ) s
           cross join lateral (${markSql}) c`,
    values: [organizationIds, idleSeconds, listedRunsMax, dataIds, withOpen],
  });
  return rows;
}

/**
 * The same in a cluster, where Citus finds the newest rows of one organization only: each node sends its own newest, and the
 * coordinator takes the first of them. So the newest runs are found first, then all are looked at.
 */
async function lookAtListsOfCluster(
  { everyOrganization: { upkeep } }: Database,
  { organizationIds, listedRunsMax, dataIds, withOpen }: ListScope,
  idleSeconds: number,
): Promise<ListedRun[]> {
  const newest: string[] = [];
  for (const organizationId of organizationIds) {
    const { rows } = await upkeep.pool.query<{ data_id: string }>({
      name: 'list_newest_runs',
      text: `select data_id from streams where organization_id = $1::uuid and deleted_at is null
             order by created_at desc, data_id limit $2::integer`,
      values: [organizationId, listedRunsMax],
    });
    newest.push(...rows.map(({ data_id }) => data_id));
  }
  const { rows } = await upkeep.pool.query<ListedRun>({
    name: 'look_at_listed_runs',
    text: `select ${listedSql('s.data_id = any($3::uuid[])')}
           from streams s cross join lateral (${markSql}) c
           where s.organization_id = any($1::uuid[]) and s.deleted_at is null
             and (s.data_id = any($3::uuid[]) or s.data_id = any($4::uuid[]) or ($5::boolean and s.finalized_at is null))`,
    values: [organizationIds, idleSeconds, newest, dataIds, withOpen],
  });
  return rows;
}
