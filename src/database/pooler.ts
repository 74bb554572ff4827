/** Detects a pooler that gives a connection of this server to other clients between two transactions. */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { DatabaseClient, isRefusedByPoolingMode } from './driver.ts';
import type { DatabaseLimits } from './limits.ts';
import type { Route } from './route.ts';

type Limits = Pick<DatabaseLimits, 'poolerLookMsMax' | 'placeMsMax'>;

/**
 * Whether connections of this route keep their backend process of PostgreSQL. A pooler in transaction mode lends a
 * backend for each transaction: then two connections share a backend, or one connection changes its backend. A direct
 * connection does neither. The test sets nothing that could stay on a connection of another client.
 * @param limits `poolerLookMsMax`: longest wait for an answer while the other connection is in a transaction, since a
 * pooler may have only one backend; `placeMsMax`: longest time in which a connection is made. Both together bound an answer
 */
export async function keepsSessions(route: Route, { poolerLookMsMax, placeMsMax }: Limits): Promise<boolean> {
  await route.find(placeMsMax);
  const bounds = { connectionTimeoutMillis: placeMsMax, query_timeout: placeMsMax + poolerLookMsMax };
  const open = () => new DatabaseClient({ ...route.config(), ...bounds });
  const [idle, busy] = [open(), open()];
  for (const client of [idle, busy]) client.on('error', () => {}); // A statement that fails for it says so.
  try {
    await idle.connect();
    const seen = [await backend(idle)];
    await busy.connect();
    if (!(await begins(busy))) return false;
    const taken = await backend(busy);
    // While `busy` holds its backend, a pooler has to lend `idle` another one, if it has any.
    const meanwhile = backend(idle);
    await Promise.race([meanwhile.catch(() => {}), sleep(poolerLookMsMax, undefined, { ref: false })]);
    await busy.query('rollback');
    seen.push(await meanwhile);
    // A pooler that lends its backends in turn has reached the next one by now.
    for (let i = 0; i < looksMore; i++) seen.push(await backend(idle));
    return !seen.includes(taken) && new Set(seen).size === 1;
  } finally {
    await Promise.all([idle, busy].map((client) => client.end().catch(() => {})));
  }
}

const looksMore = 3;

/** In statement mode PgBouncer takes no transaction at all. */
async function begins(client: pg.Client): Promise<boolean> {
  try {
    await client.query('begin');
    return true;
  } catch (error) {
    if (isRefusedByPoolingMode(error)) return false;
    throw error;
  }
}

async function backend(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  return rows[0]?.pid as number;
}
