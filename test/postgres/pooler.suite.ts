import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { DatabaseClient, isPoolerFull, isRefusedByPoolingMode } from '../../src/database/driver.ts';
import { hasSqlstate, sqlstates } from '../../src/database/sqlstates.ts';
import { type Cluster, openCluster } from '../faults/support/postgres-15.ts';
import { type PgBouncer, startPgBouncer } from './support/pgbouncer.ts';
import { newDatabase, open, serveOn, workload } from './support/store.ts';

/* Behind Debian's PgBouncer. */

let cluster: Cluster;
beforeAll(async () => {
  cluster = await openCluster({ settings: { max_connections: '120' } });
  await cluster.start();
}, 60_000);
afterAll(async () => {
  await cluster?.remove();
});

async function behind(settings: Record<string, string>): Promise<PgBouncer> {
  const pooler = await startPgBouncer(cluster, settings);
  onTestFinished(() => pooler.close());
  return pooler;
}

const session = { pool_mode: 'session', default_pool_size: '60' };

describe('in session mode', () => {
  test.each([
    ['as it comes', {}],
    ['that drops the options of connections', { ignore_startup_parameters: 'options,extra_float_digits' }],
    ['that does not reset connections', { server_reset_query: '', ignore_startup_parameters: 'options' }],
  ])('%s: all works, and organizations are kept apart', async (_name, settings) => {
    const pooler = await behind({ ...session, ...settings });
    const { database } = await open({ DATABASE_URL: pooler.url(await newDatabase(cluster)) });
    expect(await database.readiness.look()).toBeUndefined();
    const role = await database.as('00000000-0000-4000-8000-000000000000').pool.query('select current_user as role');
    expect(role.rows).toEqual([{ role: 'metrology_api' }]);
    expect(await workload(await serveOn(database), 6, 12)).toEqual({
      'initialize 200': 6,
      'chunk 201': 72,
      'ledger 200': 72,
      'search 200': 72,
    });
  });

  test('with fewer connections than the server would take: requests wait for one', async () => {
    const pooler = await behind({ ...session, default_pool_size: '10' });
    const { database } = await open({ DATABASE_URL: pooler.url(await newDatabase(cluster)), DATABASE_POOL_MAX: '20' });
    expect(await workload(await serveOn(database), 12, 6)).toEqual({
      'initialize 200': 12,
      'chunk 201': 72,
      'ledger 200': 72,
      'search 200': 72,
    });
  });

  test('that drops the search_path of the address: refused with the way round it', async () => {
    const pooler = await behind({ ...session, ignore_startup_parameters: 'options' });
    const url = `${pooler.url(await newDatabase(cluster))}?options=-c%20search_path%3Dlab`;
    await expect(open({ DATABASE_URL: url })).rejects.toThrow(/drops the options .*\(search_path\).*alter role/);
  });
});

describe.each(['transaction', 'statement'])('in %s mode', (pool_mode) => {
  test.each([
    ['as it comes', {}],
    ['that takes its connections in turn', { server_round_robin: '1' }],
    ['with one connection', { default_pool_size: '1' }],
  ])('%s: refused at the start, and nothing is made', async (_name, settings) => {
    const pooler = await behind({ pool_mode, ignore_startup_parameters: 'options', ...settings });
    const name = await newDatabase(cluster);
    // It has some connections already, as one that others use.
    await Promise.all([1, 2, 3].map(() => touch(pooler.url(name))));
    await expect(open({ DATABASE_URL: pooler.url(name) })).rejects.toThrow(
      /pooler in transaction mode.*pool_mode = session/s,
    );
    expect(await cluster.query(`select relname from pg_class where relname like 'kysely%'`, name)).toEqual([]);
  });
});

describe('what it says is known by its text, since its codes do not tell', () => {
  const failureOf = (call: Promise<unknown>) =>
    call.then(
      () => undefined,
      (error: Error & { code?: string }) => error,
    );

  test('it takes no more clients', async () => {
    const pooler = await behind({ ...session, max_client_conn: '1' });
    const url = pooler.url(await newDatabase(cluster));
    const first = new DatabaseClient(url);
    await first.connect();
    const failure = await failureOf(new DatabaseClient(url).connect());
    await first.end();
    expect(failure?.message).toContain('no more connections');
    expect([isPoolerFull(failure), hasSqlstate(failure, sqlstates.tooManyConnections)]).toEqual([true, false]);
  });

  test('it takes no transaction', async () => {
    const pooler = await behind({ pool_mode: 'statement' });
    const client = new DatabaseClient(pooler.url(await newDatabase(cluster)));
    client.on('error', () => {});
    await client.connect();
    const failure = await failureOf(client.query('begin'));
    await client.end().catch(() => {});
    expect(failure?.message).toContain('pooling mode');
    expect([isRefusedByPoolingMode(failure), isPoolerFull(failure)]).toEqual([true, false]);
  });
});

test('a pooler that is set to transaction mode under a running server: it is not ready, and neither stores nor reads', async () => {
  const pooler = await behind(session);
  const { database } = await open({ DATABASE_URL: pooler.url(await newDatabase(cluster)) });
  const server = await serveOn(database);
  expect((await workload(server, 2, 2))['chunk 201']).toBe(4);
  await pooler.set({ pool_mode: 'transaction', default_pool_size: '60' });
  // Connections change hands as soon as they are used again.
  await expect
    .poll(async () => {
      await Promise.all(Array.from({ length: 8 }, () => server.ask('GET', '/tags/')));
      return (await server.ask('GET', '/readyz')).json.detail;
    })
    .toMatch(/a pooler must be in session mode/);
  expect(await server.ask('GET', '/tags/')).toMatchObject({ status: 503 });
  expect(await server.ask('POST', '/metrology/stream/initialize', { points_per_chunk: 1 })).toMatchObject({
    status: 503,
  });
});

async function touch(url: string): Promise<void> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('select pg_sleep(0.05)');
  await client.end();
}
