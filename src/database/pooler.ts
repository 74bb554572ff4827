/** Finds out whether a pooler gives the connections of this server to others between two transactions. */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { DatabaseClient, isRefusedByPoolingMode } from './driver.ts';
import type { DatabaseLimits } from './limits.ts';
import type { Route } from './route.ts';

type Limits = Pick<DatabaseLimits, 'poolerLookMsMax' | 'placeMsMax'>;

/**
 * Whether connections of this route keep their process of PostgreSQL. In transaction mode a pooler lends one for each
 * transaction: then two connections share one, or one connection comes to another. A direct connection never does either.
 * Nothing is set here that could stay on the connection of somebody else.
 * @param limits `poolerLookMsMax`: longest wait for an answer while the other connection is in a transaction, since a
 *   pooler may have but one; `placeMsMax`: longest time in which a connection is made
 */
export async function keepsSessions(route: Route, { poolerLookMsMax, placeMsMax }: Limits): Promise<boolean> {
  await route.find(placeMsMax);
  const open = () => new DatabaseClient({ ...route.config(), connectionTimeoutMillis: placeMsMax });
  const [idle, busy] = [open(), open()];
  for (const client of [idle, busy]) client.on('error', () => {}); // A statement that fails for it says so.
  try {
    await idle.connect();
    const seen = [await backend(idle)];
    await busy.connect();
    if (!(await begins(busy))) return false;
    const taken = await backend(busy);
    // While the other one is held, a pooler has to lend this one another process, if there is any.
    const meanwhile = backend(idle);
    await Promise.race([meanwhile.catch(() => {}), sleep(poolerLookMsMax, undefined, { ref: false })]);
    await busy.query('rollback');
    seen.push(await meanwhile);
    // A pooler that lends its processes in turn has come to the next one by now.
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
