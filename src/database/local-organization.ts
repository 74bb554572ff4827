/**
 * How a connection names its organization in a cluster. Citus passes `set local` on to the workers, but not what a session has set.
 * So every statement runs in a transaction that begins with `set local`, and a policy on a worker that finds no organization fails
 * the statement (docs/decisions/0061-a-cluster-of-postgresql.md).
 */
import pg from 'pg';
import { apiRole, organizationSetting } from './roles.ts';

/** SQL that names the organization until the transaction ends. */
const setLocal = (organizationId: string) => `set local ${organizationSetting} = ${pg.escapeLiteral(organizationId)}`;

/**
 * The same, and takes the role of the API. That is no `set local`: Citus connects to the workers under the role of the moment, and
 * would repeat each earlier `set local role` there, which that role may not do.
 */
export const setLocalAsApi = (organizationId: string) => `${takeLocally(apiRole)}; ${setLocal(organizationId)}`;

/** SQL that takes a role until the transaction ends, on this connection alone. */
export const takeLocally = (role: string) => `select set_config('role', ${pg.escapeLiteral(role)}, true)`;

/**
 * Changes `client.query` so that every transaction names the organization first. A statement outside of a transaction gets one of its
 * own. @returns a function to call before the connection goes back to its pool
 */
export function nameLocally(client: pg.PoolClient, organizationId: string): () => void {
  const query = client.query.bind(client) as (...given: unknown[]) => Promise<unknown>;
  const naming = setLocal(organizationId);
  let isOpen = false;
  const named = (...given: unknown[]): unknown => {
    const verb = firstWord(given[0]);
    if (verb === 'begin') {
      isOpen = true;
      return Promise.all([query(...given), query(naming)]).then(([begun]) => begun);
    }
    if (verb === 'commit' || verb === 'rollback') isOpen = false;
    if (isOpen || verb === 'commit' || verb === 'rollback') return query(...given);
    // The client sends each of the three when the one before is done, also when that has failed: then `commit` rolls back.
    // The block is there because Citus repeats the whole text that a `set local` stands in: the workers would begin twice.
    const begun = query(`begin; do $set$ begin ${naming}; end $set$`);
    const answer = query(...given);
    const ended = query('commit');
    const all = Promise.all([begun, answer, ended]).then(([, rows]) => rows);
    if (answer instanceof Promise) return all;
    // A COPY: it is a stream, and tells its errors itself.
    all.catch(() => {});
    return answer;
  };
  Object.defineProperty(client, 'query', { value: named, configurable: true, writable: true });
  return () => {
    Reflect.deleteProperty(client, 'query');
  };
}

function firstWord(statement: unknown): string | undefined {
  const text = typeof statement === 'string' ? statement : (statement as { text?: unknown }).text;
  return typeof text === 'string' ? /^\s*(\w+)/.exec(text)?.[1]?.toLowerCase() : undefined;
}
