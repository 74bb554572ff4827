import type pg from 'pg';
import { expect } from 'vitest';
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
  client.query = ((...args: unknown[]) => {
    const [first, values] = args as [string | { text: string; values?: unknown[] }, unknown[]?];
    const text = typeof first === 'string' ? first : first.text;
    const copied = /^copy \((.*)\) to stdout/s.exec(text)?.[1];
    statements.push({ text: copied ?? text, values: (typeof first === 'string' ? values : first.values) ?? [] });
    return query(...args);
  }) as pg.PoolClient['query'];
  const connect = pool.connect;
  const release = client.release.bind(client);
  client.release = () => {};
  pool.connect = (async () => client) as unknown as typeof connect;
  const poolQuery = pool.query;
  pool.query = client.query as unknown as typeof poolQuery;
  try {
    const answer = await server.get(url);
    expect(answer.status).toBe(200);
  } finally {
    Object.assign(pool, { connect, query: poolQuery });
    client.query = query as pg.PoolClient['query'];
    release();
  }
  const cost: Cost = { pages: 0, temporary: 0 };
  for (const { text, values } of statements.filter((one) => /from chunks/.test(one.text))) {
    const { rows } = await pool.query(`explain (analyze, buffers, format json) ${text}`, values);
    const { Plan: plan } = rows[0]['QUERY PLAN'][0];
    cost.pages += plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
    cost.temporary += plan['Temp Written Blocks'];
  }
  expect(cost.pages).toBeGreaterThan(0);
  return cost;
}
