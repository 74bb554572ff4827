import type { AuditAction } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';

export interface AuditEntry {
  entry_id: string;
  happened_at: string;
  action: string;
  actor: 'key' | 'operator' | 'server' | 'stranger';
  key_id: number | null;
  key_hint: string | null;
  user_name: string | null;
  data_id: string | null;
  of_key_id: number | null;
  request_id: string | null;
  address: string | null;
  details: Record<string, unknown>;
}

/** An entry of any organization, or of none. */
export interface AnyEntry extends AuditEntry {
  organization: string | null;
}

/** Which entries; a condition that is missing lets all pass. */
export interface AuditFilter {
  since?: string | undefined;
  until?: string | undefined;
  actions?: readonly AuditAction[] | undefined;
  dataId?: string | undefined;
  /** What the key has done, and what was done to it. */
  keyId?: number | undefined;
}

/** The place of an entry in the list: newest first. */
export type AuditPlace = Pick<AuditEntry, 'happened_at' | 'entry_id'>;

/** The next entries of an organization, newest first, at most `countMax`. */
export async function findEntries(
  { organizationId, pool }: OrganizationDatabase,
  filter: AuditFilter,
  after: AuditPlace | undefined,
  countMax: number,
): Promise<AuditEntry[]> {
  const where = conditions(filter, after);
  where.add((value) => `organization_id = ${value}::uuid`, organizationId);
  const limit = where.parameter(countMax);
  const { rows } = await pool.query<AuditEntry>(
    `select ${columns} from audit_log entry where ${where.text()} ${order} limit ${limit}::integer`,
    where.values,
  );
  return rows;
}

/** The same for all organizations, or for those of one name; for the operator. */
export async function findEntriesOfAll(
  database: Database,
  { organization, ...filter }: AuditFilter & { organization?: string | undefined },
  after: AuditPlace | undefined,
  countMax: number,
): Promise<AnyEntry[]> {
  const where = conditions(filter, after);
  where.add(
    (value) =>
      `organization_id in (select organization_id from organizations where lower(name) = lower(${value}::text))`,
    organization,
  );
  const limit = where.parameter(countMax);
  const { rows } = await database.everyOrganization.upkeep.pool.query<AnyEntry>(
    `select ${columns}, (select name from organizations where organization_id = entry.organization_id) as organization
     from audit_log entry where ${where.text()} ${order} limit ${limit}::integer`,
    where.values,
  );
  return rows;
}

/**
 * Removes up to `countMax` entries of all organizations that are older than `keepDays` and than 30 days.
 * @returns how many
 */
export async function removeOldEntries(database: Database, keepDays: number, countMax: number): Promise<number> {
  const { rows } = await database.everyOrganization.upkeep.pool.query<{ count: number }>({
    name: 'remove_old_audit_entries',
    text: 'select remove_old_audit_entries($1::integer, $2::integer) as count',
    values: [keepDays, countMax],
  });
  return Number(rows[0]?.count);
}

const columns = `entry_id, happened_at, action, actor, key_id, key_hint, user_name, data_id, of_key_id, request_id, address, details`;
const order = 'order by happened_at desc, entry_id';

/** The statement contains only the given conditions, so that PostgreSQL finds the right index. */
function conditions({ since, until, actions, dataId, keyId }: AuditFilter, after: AuditPlace | undefined) {
  const values: unknown[] = [];
  const parts: string[] = [];
  const parameter = (value: unknown) => `$${values.push(value)}`;
  const add = <Value>(condition: (parameter: string) => string, value: Value | undefined) => {
    if (value !== undefined) parts.push(condition(parameter(value)));
  };
  add((value) => `happened_at >= ${value}::timestamptz`, since);
  add((value) => `happened_at < ${value}::timestamptz`, until);
  add((value) => `action = any(${value}::text[])`, actions);
  add((value) => `data_id = ${value}::uuid`, dataId);
  add((value) => `(key_id = ${value}::bigint or of_key_id = ${value}::bigint)`, keyId);
  if (after !== undefined) {
    const [time, id] = [parameter(after.happened_at), parameter(after.entry_id)];
    parts.push(
      `happened_at <= ${time}::timestamptz and (happened_at < ${time}::timestamptz or entry_id > ${id}::uuid)`,
    );
  }
  return { values, parameter, add, text: () => (parts.length === 0 ? 'true' : parts.join(' and ')) };
}
