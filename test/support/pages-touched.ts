import type pg from 'pg';
import { expect } from 'vitest';
import { onCluster } from './on-cluster.ts';
import type { TestServer } from './test-server.ts';

/** Pages of 8 kB. */
interface Cost {
  /** That all statements touch. */
  pages: number;
  /** That they write to disk because memory does not suffice to sort. */
  temporary: number;
}

/** The pages that a request touches. */
export const pagesOf = async (server: TestServer, url: string) => (await costOf(server, url)).pages;

/** Runs a request, and the statements that it sends again, to count what each of them costs. */
export async function costOf(server: TestServer, url: string): Promise<Cost> {
  const pool = server.database.pools.general as pg.Pool;
  const statements: { text: string; values: unknown[] }[] = [];
  const client = await pool.connect();
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  const watched = ((...args: unknown[]) => {
    const [first, values] = args as [string | { text: string; values?: unknown[] }, unknown[]?];
    const text = typeof first === 'string' ? first : first.text;
    const copied = /^copy \((.*)\) to stdout/s.exec(text)?.[1];
    statements.push({ text: copied ?? text, values: (typeof first === 'string' ? values : first.values) ?? [] });
    return query(...args);
  }) as pg.PoolClient['query'];
  const connect = pool.connect;
  const release = client.release.bind(client);
  // In a cluster a handle takes its own `query` away at the end.
  const lend = async () => Object.assign(client, { query: watched, release: () => {} });
  pool.connect = lend as unknown as typeof connect;
  const poolQuery = pool.query;
  pool.query = watched as unknown as typeof poolQuery;
  try {
    const answer = await server.get(url);
    expect(answer.status).toBe(200);
  } finally {
    Object.assign(pool, { connect, query: poolQuery });
    client.query = query as pg.PoolClient['query'];
    release();
  }
  // In a cluster each transaction names the organization.
  const naming = statements.find(({ text }) => text.startsWith('begin; do'))?.text ?? 'begin';
  const cost: Cost = { pages: 0, temporary: 0 };
  for (const { text, values } of statements.filter((one) => /from chunks/.test(one.text))) {
    for (const plan of await plansOf(pool, naming, { text, values })) {
      cost.pages += plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
      cost.temporary += plan['Temp Written Blocks'];
    }
  }
  expect(cost.pages).toBeGreaterThan(0);
  return cost;
}

interface Plan {
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
  'Temp Written Blocks': number;
}

/** The plan of a statement as it was run; in a cluster, those of its nodes. */
async function plansOf(
  pool: pg.Pool,
  naming: string,
  { text, values }: { text: string; values: unknown[] },
): Promise<Plan[]> {
  const client = await pool.connect();
  try {
    await client.query(naming);
    const { rows } = await client.query(`explain (analyze, buffers, timing off, format json) ${text}`, values);
    await client.query('commit');
    const [found] = rows[0]['QUERY PLAN'];
    return onCluster ? remotePlansIn(found) : [found.Plan];
  } finally {
    client.release();
  }
}

function remotePlansIn(part: unknown): Plan[] {
  if (typeof part !== 'object' || part === null) return [];
  return Object.entries(part).flatMap(([name, inner]) =>
    name === 'Remote Plan' ? [inner[0][0].Plan] : remotePlansIn(inner),
  );
}
