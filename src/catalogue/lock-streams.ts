import type pg from 'pg';
import type { OrganizationDatabase } from '../database/organizations.ts';

/**
 * Locks some streams until the end of the transaction, so that two requests for the same streams
 * wait for each other and do not deadlock. On one PostgreSQL it locks the rows in the order of ids. A cluster cannot lock rows
 * of several nodes: there whoever calls this for the same organization waits. Other statements, each for one stream, then
 * do not wait, and see the streams before or after.
 * @returns the ids of those that are not deleted, ascending
 */
export async function lockStreams(
  client: pg.PoolClient,
  { organizationId, isDistributed }: OrganizationDatabase,
  dataIds: string[],
): Promise<string[]> {
  const isCluster = await isDistributed();
  if (isCluster) {
    const lock = `select pg_advisory_xact_lock(hashtextextended(concat($1::text, ' streams'), 0))`;
    await client.query(lock, [organizationId]);
  }
  const { rows } = await client.query<{ data_id: string; is_deleted: boolean }>(
    `select data_id, deleted_at is not null as is_deleted from streams
     where organization_id = $1::uuid and data_id = any($2::uuid[])
     order by data_id ${isCluster ? '' : 'for no key update'}`,
    [organizationId, dataIds],
  );
  return rows.filter(({ is_deleted }) => !is_deleted).map(({ data_id }) => data_id);
}
