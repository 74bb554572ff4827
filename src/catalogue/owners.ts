import { type RawBuilder, sql } from 'kysely';
import type { OrganizationDatabase } from '../database/organizations.ts';

/**
 * A common table expression `owner`: the users of an organization. In a cluster users are on the coordinator alone. Citus
 * then reads them first and passes them on; a statement that joins the table itself with streams can crash the coordinator.
 */
export async function ownersOf({ organizationId, isDistributed }: OrganizationDatabase): Promise<RawBuilder<unknown>> {
  return sql`owner as ${inFirst(await isDistributed())} (
    select user_id, organization_id, name from users where organization_id = ${organizationId}::uuid)`;
}

/** How a common table expression is read: in a cluster before the rest of the statement, else as a part of it. */
export const inFirst = (isDistributed: boolean) => sql.raw(isDistributed ? 'materialized' : 'not materialized');
