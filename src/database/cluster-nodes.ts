/** Asks the nodes of a Citus cluster, through the coordinator. */
import type { ConnectionSource } from './access.ts';
import { takeLocally } from './local-organization.ts';
import { apiRole, serviceRole } from './roles.ts';
import { inTransaction } from './transactions.ts';

type Queryable = Pick<ConnectionSource, 'query'>;

export interface ClusterNode {
  /** `host:port`, as the coordinator reaches it. */
  name: string;
  isCoordinator: boolean;
  /** Whether the cluster uses it. */
  isActive: boolean;
  /** Whether streams are moved to it. */
  takesStreams: boolean;
}

/** All primary nodes, in the order in which they were added. */
export async function listNodes(pool: Queryable): Promise<ClusterNode[]> {
  const { rows } = await pool.query<ClusterNode>(
    `select nodename || ':' || nodeport as name, groupid = 0 as "isCoordinator", isactive as "isActive",
       shouldhaveshards as "takesStreams"
     from pg_dist_node where noderole = 'primary' order by groupid <> 0, nodeid`,
  );
  return rows;
}

export interface NodeAnswer {
  node: string;
  isCoordinator: boolean;
  /** Null where the node could not answer. */
  text: string | null;
  problem: string | null;
}

/**
 * Runs a query on every active node, as the role of the session. The coordinator opens connections for it.
 * @param query answers one row with one text
 */
export async function askNodes(pool: Queryable, query: string): Promise<NodeAnswer[]> {
  const { rows } = await pool.query<NodeAnswer>(
    `select nodename || ':' || nodeport as node, groupid = 0 as "isCoordinator",
       case when success then result end as text, case when not success then result end as problem
     from run_command_on_all_nodes($1::text) as answer join pg_dist_node using (nodeid) order by groupid <> 0, nodeid`,
    [query],
  );
  return rows;
}

/** Settings that every node needs, so that what was acknowledged stays stored on it. */
const weakSettings = `
  select coalesce(string_agg(name || '=' || setting, ', ' order by name), '') from pg_settings
  where name in ('fsync', 'full_page_writes', 'synchronous_commit') and setting = 'off'
    or name = 'max_prepared_transactions' and setting = '0'`;

/** Nodes that could lose what they have committed, or that cannot take part in a transaction of several nodes. */
export async function weakNodes(pool: Queryable): Promise<{ node: string; settings: string }[]> {
  const answers = await askNodes(pool, weakSettings);
  return answers.flatMap(({ node, text }) => (text ? [{ node, settings: text }] : []));
}

/** The roles as which the coordinator connects to the workers: that of the session which runs a statement. */
export const rolesOnNodes = [apiRole, serviceRole];

/** Connects to every node as each of the roles. @returns the first that is refused */
export async function findRefusedRole(
  pool: Pick<ConnectionSource, 'connect'>,
): Promise<{ node: string; role: string } | undefined> {
  for (const role of rolesOnNodes) {
    const answers = await inTransaction(pool, async (client) => {
      await client.query(takeLocally(role));
      return askNodes({ query: client.query.bind(client) }, 'select current_user');
    });
    const refused = answers.find(({ text }) => text !== role);
    if (refused !== undefined) return { node: refused.node, role };
  }
  return undefined;
}
