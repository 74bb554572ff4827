/**
 * How a connection names its organization in a cluster. Citus passes `set local` on to the workers, but not what a session has set.
 * So every statement runs in a transaction that begins with `set local`, and a policy on a worker that finds no organization fails
 * the statement (docs/decisions/0061-a-cluster-of-postgresql.md).
 */
import { Readable } from 'node:stream';
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
  const query = client.query.bind(client) as (given: unknown, values?: unknown) => Promise<unknown>;
  const naming = setLocal(organizationId);
  // The block is there because Citus repeats the whole text that a `set local` stands in: the workers would begin twice.
  const beginning = `begin; do $set$ begin ${naming}; end $set$`;
  let isOpen = false;

  async function begin(given: unknown, values: unknown): Promise<unknown> {
    isOpen = true;
    const begun = await query(given, values);
    await query(naming);
    return begun;
  }

  async function alone(given: unknown, values: unknown): Promise<unknown> {
    await query(beginning);
    try {
      return await query(given, values);
    } finally {
      // After a statement that has failed, it rolls back.
      await query('commit');
    }
  }

  /** A stream has to be returned at once, so its statement is sent behind the beginning. It tells its errors itself. */
  function copyAlone(copy: Readable): Readable {
    const begun = query(beginning);
    begun.catch(() => {});
    query(copy);
    return copy.once('end', () => void query('commit').catch(() => {}));
  }

  const named = (given: unknown, values?: unknown): unknown => {
    const verb = firstWord(given);
    if (verb === 'begin') return begin(given, values);
    const isEnd = verb === 'commit' || verb === 'rollback';
    if (isEnd) isOpen = false;
    if (isOpen || isEnd) return query(given, values);
    return given instanceof Readable ? copyAlone(given) : alone(given, values);
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
