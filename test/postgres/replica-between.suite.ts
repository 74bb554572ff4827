import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Cluster } from '../faults/support/postgres-15.ts';
import { startPgBouncer } from './support/pgbouncer.ts';
import {
  closeAll,
  countChunks,
  keysOn,
  openPrimary,
  openStandby,
  openStream,
  type ReplicaServer,
  serveWithReplica,
  store,
} from './support/replicated.ts';

/* What stands between a read and its rows on the replica: a pooler, a lock of the replay, long reads. */

let primary: Cluster;
let standby: Cluster;
let keys: { lab: string; rival: string };
let server: ReplicaServer;
beforeAll(async () => {
  primary = await openPrimary();
  standby = await openStandby(primary);
  keys = await keysOn(primary);
  server = await serveWithReplica(primary, standby.url('lab'), keys.lab);
});
afterAll(closeAll);

const organizationOf = async (name: string) => {
  const [row] = await primary.query(`select organization_id as id from organizations where name = '${name}'`, 'lab');
  return row?.id as string;
};

test.each([1, 4])(
  'a pooler in transaction mode with %i connections is never read through: it would mix organizations',
  async (size) => {
    const pooler = await startPgBouncer(standby, { pool_mode: 'transaction', default_pool_size: String(size) });
    onTestFinished(() => pooler.close());
    const behind = await serveWithReplica(primary, pooler.url('lab'), keys.lab);
    const dataIds = { lab: await openStream(behind), rival: await openStream(behind, keys.rival) };
    for (const name of ['lab', 'rival'] as const) await store(behind, dataIds[name], 0, keys[name]);
    await expect.poll(() => behind.database.replica?.warning()).toContain('pooler in transaction mode');
    const answers: string[] = [];
    const read = async (name: 'lab' | 'rival') => {
      for (let i = 0; i < 20; i++) {
        const url = i % 2 === 0 ? '/data_entries/' : `/metrology/stream/${dataIds[name]}/chunks`;
        const { status, text } = await behind.ask('GET', url, undefined, keys[name]);
        const foreign = dataIds[name === 'lab' ? 'rival' : 'lab'];
        answers.push(text.includes(foreign) ? 'the rows of others' : String(status));
      }
    };
    await Promise.all([read('lab'), read('rival'), read('lab'), read('rival'), read('lab'), read('rival')]);
    expect([...new Set(answers)]).toEqual(['200']);
    expect(behind.reads().replica).toBeUndefined();
  },
);

test('a lock that the replay holds while it stands still fails no read that has begun before', async () => {
  await server.untilUsed();
  const dataId = await openStream(server);
  await store(server, dataId, 0);
  const handle = server.database.readingAs(await organizationOf('lab'));
  await handle.pool.query('select 1');
  // A vacuum or a migration of the primary takes such a lock for a moment.
  const holder = new pg.Client({ connectionString: primary.url('lab') });
  await holder.connect();
  onTestFinished(() => holder.end());
  await holder.query('begin; lock table chunks in access exclusive mode');
  await primary.query('select pg_switch_wal()');
  await expect
    .poll(
      async () =>
        (await standby.query(`select count(*)::int as n from pg_locks where mode = 'AccessExclusiveLock'`))[0],
    )
    .toEqual({ n: 1 });
  await standby.query('select pg_wal_replay_pause()');
  onTestFinished(async () => void (await standby.query('select pg_wal_replay_resume()')));
  await holder.query('commit');
  server.reads();
  const startedAt = performance.now();
  const { rows } = await handle.pool.query(
    'select count(*)::int as count, pg_is_in_recovery() as stands_by from chunks',
  );
  expect(rows).toEqual([{ count: expect.any(Number), stands_by: false }]);
  expect(performance.now() - startedAt).toBeLessThan(3_000);
  expect(server.reads()).toEqual({ conflict: 1 });
  expect(await countChunks(server, dataId)).toBe(1);
});

test('long reads that have all its connections do not make a replica unreachable', async () => {
  await server.untilUsed();
  const handles = Array.from({ length: 8 }, (_, i) =>
    server.database.readingAs(`00000000-0000-4000-8000-00000000000${i}`),
  );
  const warnings = new Set<string | undefined>();
  const timer = setInterval(() => warnings.add(server.database.replica?.warning()), 20);
  onTestFinished(() => clearInterval(timer));
  const asleep = await Promise.all(
    handles.map((handle) => handle.pool.query('select pg_is_in_recovery() as stands_by from pg_sleep(3)')),
  );
  expect(asleep.flatMap(({ rows }) => rows)).toEqual(handles.map(() => ({ stands_by: true })));
  expect([...warnings]).toEqual([undefined]);
});
