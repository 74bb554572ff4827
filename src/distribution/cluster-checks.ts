/** What a cluster lacks, as a sentence, before `distribute` changes anything. */
import type { ConnectionSource } from '../database/access.ts';
import { askNodes, type ClusterNode, listNodes, weakNodes } from '../database/cluster-nodes.ts';

type Queryable = Pick<ConnectionSource, 'query'>;

/** The oldest Citus that has been tried. */
const majorMin = 13;

/**
 * @returns the workers that take streams
 * @throws Error with a sentence when the database is not the coordinator of a cluster that can take it
 */
export async function findWorkers(pool: Queryable): Promise<ClusterNode[]> {
  const version = await versionOfCitus(pool);
  if (version === undefined)
    throw new Error(
      'The database has no extension "citus": run "create extension citus" in the database of this name on the coordinator ' +
        'and on each worker (docs/scale.md).',
    );
  if (Number.parseInt(version, 10) < majorMin)
    throw new Error(`The database has Citus ${version}; Citus ${majorMin} or newer is needed.`);
  const { rowCount } = await pool.query('select from pg_dist_local_group where groupid <> 0');
  if (rowCount !== 0)
    throw new Error('The database is that of a worker: name the coordinator in DATABASE_URL (docs/scale.md).');
  const nodes = await listNodes(pool);
  await refuseNodes(pool, nodes, version);
  return nodes.filter(({ isCoordinator, takesStreams }) => !isCoordinator && takesStreams);
}

async function versionOfCitus(pool: Queryable): Promise<string | undefined> {
  const { rows } = await pool.query<{ version: string }>(
    `select extversion as version from pg_extension where extname = 'citus'`,
  );
  return rows[0]?.version;
}

/** @throws Error with a sentence when a node is missing, away or not like the coordinator */
async function refuseNodes(pool: Queryable, nodes: ClusterNode[], version: string): Promise<void> {
  if (!nodes.some(({ isCoordinator, takesStreams }) => !isCoordinator && takesStreams))
    throw new Error(
      `The cluster has no workers: add each with "select citus_add_node('host', 5432)" on the coordinator (docs/scale.md).`,
    );
  if (!nodes.some(({ isCoordinator }) => isCoordinator))
    throw new Error(
      `The cluster does not know its coordinator: run "select citus_set_coordinator_host('host', 5432)" (docs/scale.md).`,
    );
  const idle = nodes.filter(({ isActive }) => !isActive).map(({ name }) => name);
  if (idle.length > 0)
    throw new Error(`The cluster does not use ${idle.join(', ')}: activate them with "select citus_activate_node(…)".`);
  await refuseAnswers(pool, version);
  const [weak] = await weakNodes(pool);
  if (weak !== undefined)
    throw new Error(
      `The node ${weak.node} may lose what it has committed (${weak.settings}): fsync, full_page_writes and synchronous_commit ` +
        'must be on, and max_prepared_transactions above max_connections.',
    );
}

/** @throws Error with a sentence when a node does not answer, has another Citus, or lets the owner make nothing */
async function refuseAnswers(pool: Queryable, version: string): Promise<void> {
  const versions = await askNodes(pool, `select extversion from pg_extension where extname = 'citus'`);
  const silent = versions.find(({ problem }) => problem !== null);
  if (silent !== undefined) throw new Error(`The node ${silent.node} does not answer: ${silent.problem}.`);
  const other = versions.find(({ text }) => text !== version);
  if (other !== undefined)
    throw new Error(
      `The node ${other.node} has Citus ${other.text} and the coordinator ${version}: bring both to one version and run ` +
        '"alter extension citus update".',
    );
  const bound = (await askNodes(pool, mayNotMake)).find(({ text }) => text);
  if (bound !== undefined)
    throw new Error(
      `On the node ${bound.node} the role ${bound.text} may not make roles, or nothing in this database: let an administrator ` +
        `run "alter role ${bound.text} createrole" there, and make it the owner of the database there.`,
    );
}

/** The role, unless it may make roles and schemas. */
const mayNotMake = `
  select coalesce(max(rolname), '') from pg_roles
  where rolname = current_user and not (rolsuper or rolcreaterole and has_database_privilege(current_database(), 'create'))`;
