import type pg from 'pg';
import { inTransaction } from '../../../src/database/transactions.ts';
import type { TestServer } from '../../support/test-server.ts';

export interface Sent {
  text: string;
  values: unknown[];
}

/** Collects the statements that the reads of a server send meanwhile; for a COPY, the query that it copies. */
export async function statementsOf(server: TestServer, work: () => Promise<unknown>): Promise<Sent[]> {
  const pool = server.database.pools.general as pg.Pool;
  const sent: Sent[] = [];
  const watch = (client: pg.PoolClient) => {
    // A handle replaces `query` while it has the connection, and takes its own away at the end.
    Reflect.deleteProperty(client, 'query');
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    client.query = ((...args: unknown[]) => {
      const [first, values] = args as [string | { text: string; values?: unknown[] }, unknown[]?];
      const text = typeof first === 'string' ? first : first.text;
      const copied = /^copy \((.*)\) to stdout/s.exec(text)?.[1];
      sent.push({ text: copied ?? text, values: (typeof first === 'string' ? values : first.values) ?? [] });
      return query(...args);
    }) as pg.PoolClient['query'];
  };
  pool.on('acquire', watch);
  try {
    await work();
  } finally {
    pool.off('acquire', watch);
  }
  return sent.filter(({ text }) => /^\s*(select|with|insert)/.test(text));
}

/** How Citus runs a statement. */
export interface Routing {
  /** How many nodes' pieces the statement asks; undefined where it asks none, but the coordinator alone. */
  tasks: number | undefined;
  /** Whether a part of it runs before, whose answer is sent to the nodes. */
  hasSubplans: boolean;
}

export function routingOf({ owner }: TestServer, organizationId: string, { text, values }: Sent): Promise<Routing> {
  return inTransaction(owner.pool, async (client) => {
    await client.query(`set local citus.propagate_set_commands to 'local'`);
    await client.query('set local role metrology_api');
    await client.query(`set local metrology.organization_id = '${organizationId}'`);
    const { rows } = await client.query(`explain (format json) ${text}`, values);
    const plan = JSON.stringify(rows[0]['QUERY PLAN']);
    const tasks = [...plan.matchAll(/"Task Count":(\d+)/g)].map(([, count]) => Number(count));
    return {
      tasks: tasks.length === 0 ? undefined : Math.max(...tasks),
      hasSubplans: plan.includes('"Distributed Subplan"') || plan.includes('"Subplans"') || tasks.length > 1,
    };
  });
}
