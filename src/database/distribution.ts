/**
 * Whether the tables of streams are distributed over the nodes of a Citus cluster (docs/decisions/0061-a-cluster-of-postgresql.md).
 * The server finds that out by itself: `metrology-server distribute` is the only thing that changes it, and no server is
 * connected meanwhile.
 */
import type { ConnectionSource } from './access.ts';

/** Where each table has its rows in a cluster. A new table belongs into one of the lists (CONTRIBUTING.md#add-a-migration). */
export const clusterTables = {
  /** Divided among the nodes by `data_id`: all rows of a stream are on one node. */
  distributed: [
    'streams',
    'processed_data_entries',
    'stream_tags',
    'channels',
    'chunks',
    'chunk_revisions',
    'overviews',
  ],
  /** A copy on every node, so that a search can join them with streams. */
  reference: ['growth_instruments', 'physical_samples', 'projects', 'project_physical_samples', 'tags'],
  /** On the coordinator alone: no statement joins them with many streams. */
  local: [
    'organizations',
    'users',
    'api_keys',
    'sessions',
    'sign_in_links',
    'sql_readers',
    'audit_log',
    'kysely_migration',
  ],
} as const;

/** The schema of the functions that stand in for PostgreSQL's own in a cluster. */
export const clusterSchema = 'metrology_cluster';

/** What the sessions of a server set in addition, in a cluster. */
export const clusterSettings = {
  /** `set local` holds on the workers too: a lock time-out, and the organization that policies read. */
  'citus.propagate_set_commands': 'local',
  /** Citus finds the node of a stream when it plans a statement, so it has to know the parameters. */
  plan_cache_mode: 'force_custom_plan',
};

/** SQL: whether the tables are distributed. `distribute` creates the schema in the transaction that moves them. */
export const isDistributedSql = `to_regnamespace('${clusterSchema}') is not null`;

/** Asks once, and remembers the answer. @returns whether the tables are distributed */
export function rememberDistribution(pool: Pick<ConnectionSource, 'query'>): () => Promise<boolean> {
  let known: Promise<boolean> | undefined;
  return () => {
    known ??= isDistributed(pool).catch((error) => {
      known = undefined;
      throw error;
    });
    return known;
  };
}

export async function isDistributed(pool: Pick<ConnectionSource, 'query'>): Promise<boolean> {
  const { rows } = await pool.query<{ answer: boolean }>(`select ${isDistributedSql} as answer`);
  return rows[0]?.answer ?? false;
}

/** The function of SQL that tells the bytes of a table with its indexes, on all nodes. */
export const totalSizeFunction = (isDistributed: boolean) =>
  isDistributed ? 'citus_total_relation_size' : 'pg_total_relation_size';
