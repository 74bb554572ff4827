import { appendFileSync, chownSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Cluster } from '../faults/support/postgres-15.ts';
import {
  closeAll,
  countChunks,
  keysOn,
  openPrimary,
  openStandby,
  openStranger,
  openStream,
  type ReplicaServer,
  serveWithReplica,
  store,
} from './support/replicated.ts';

/* A read from a replica shows whatever was acknowledged before it began, or it is no read from the replica. */

let primary: Cluster;
let standby: Cluster;
let keys: { lab: string; rival: string };
let a: ReplicaServer;
let b: ReplicaServer;
beforeAll(async () => {
  primary = await openPrimary();
  standby = await openStandby(primary, { max_standby_streaming_delay: '0' });
  keys = await keysOn(primary);
  [a, b] = await Promise.all([
    serveWithReplica(primary, standby.url('lab'), keys.lab),
    serveWithReplica(primary, standby.url('lab'), keys.lab),
  ]);
});
afterAll(closeAll);
beforeEach(() => Promise.all([a.untilUsed(), b.untilUsed()]));

/** A read through a server, and where it went. */
async function readThrough(server: ReplicaServer, dataId: string) {
  server.reads();
  const chunks = await countChunks(server, dataId);
  return { chunks, reads: server.reads() };
}

test('what one server has acknowledged the other one shows, although the replica has not replayed it', async () => {
  const dataId = await openStream(a);
  await store(a, dataId, 0);
  expect(await readThrough(b, dataId)).toEqual({ chunks: 1, reads: { replica: 1 } });
  expect(await readThrough(a, dataId)).toEqual({ chunks: 1, reads: { replica: 1 } });

  await standby.query('select pg_wal_replay_pause()');
  await store(a, dataId, 1);
  expect((await standby.query('select count(*)::int as count from chunks', 'lab'))[0]).toEqual({ count: 1 });
  const late = await readThrough(b, dataId);
  expect(late).toEqual({ chunks: 2, reads: { lagging: 1 } });
  // It is left alone: no further read waits for it.
  const startedAt = performance.now();
  for (let i = 0; i < 20; i++) expect((await readThrough(b, dataId)).chunks).toBe(2);
  expect((performance.now() - startedAt) / 20).toBeLessThan(100);
  const ready = await b.ask('GET', '/readyz');
  expect([ready.status, ready.json.detail]).toEqual([200, expect.stringContaining('has not replayed yet')]);
  expect((await b.ask('GET', '/metrics')).text).toMatch(/^metrology_replica_used 0$/m);

  await standby.query('select pg_wal_replay_resume()');
  await b.untilUsed();
  expect(await readThrough(b, dataId)).toEqual({ chunks: 2, reads: { replica: 1 } });
  expect((await b.ask('GET', '/readyz')).json).toEqual({ status: 'ready' });
  const metrics = (await b.ask('GET', '/metrics')).text;
  expect(metrics).toMatch(/^metrology_replica_used 1$/m);
  expect(metrics).toMatch(/^metrology_replica_reads_total\{outcome="lagging"\} \d\d/m);
  expect(metrics).toMatch(/^metrology_replica_lag_seconds 0$/m);
  expect(b.logged()).toContain('reads go to the primary');
});

test('under continuous ingest through two servers every read shows what was acknowledged, most of them from the replica', async () => {
  const dataIds = await Promise.all(Array.from({ length: 8 }, () => openStream(a)));
  const stale: string[] = [];
  a.reads();
  b.reads();
  const follow = async (dataId: string) => {
    for (let i = 0; i < 130; i++) {
      const [writer, reader] = i % 2 === 0 ? [a, b] : [b, a];
      await store(writer, dataId, i);
      const [channel] = (await reader.ask('GET', `/metrology/stream/${dataId}/chunks`)).json.channels;
      if (channel.chunk_count !== i + 1) stale.push(`${dataId}: ${channel.chunk_count} of ${i + 1}`);
    }
  };
  await Promise.all(dataIds.map(follow));
  expect(stale).toEqual([]);
  const [ofA, ofB] = [a.reads(), b.reads()];
  const fromReplica = (ofA.replica ?? 0) + (ofB.replica ?? 0);
  expect(fromReplica, JSON.stringify([ofA, ofB])).toBeGreaterThan(0.5 * 8 * 130);
}, 300_000);

test('every kind of read goes to the replica and shows the same; what a read writes goes to the primary', async () => {
  const plain = await openStream(a);
  for (let i = 0; i < 3; i++) await store(a, plain, i);
  await a.ask('POST', '/metrology/stream/finalize', { data_id: plain });
  const foreign = await openStream(a, keys.rival);
  await store(a, foreign, 0, keys.rival);
  const urls = (dataId: string) => [
    ...[`/metrology/${dataId}/timeseries/`, `/tool-state/${dataId}/timeseries/?max_points=100`],
    ...[`/rheed/timeseries/${dataId}/`, `/metrology/${dataId}/statistics/`, `/metrology/${dataId}/points/?channel=t`],
    ...[`/data_entries/raw_data/staged/timeseries/${dataId}`, `/metrology/${dataId}/latest`],
    ...[`/metrology/stream/${dataId}/chunks`, `/metrology/stream/${dataId}/certificate`],
    ...[`/metrology/stream/${dataId}/chunks/revisions`],
    ...[`/exports/${dataId}/metadata/`, `/exports/${dataId}/?format=csv`, `/exports/${dataId}/?format=parquet`],
    ...[`/exports/${dataId}/?format=xlsx&layout=wide`],
  ];
  const lists = [
    ...['/data_entries/', '/runs/', '/projects/', '/tags/', '/physical_samples/', '/instruments/synthesis/'],
    ...['/keys/', '/users/', '/audit/'],
  ];
  a.reads();
  for (const url of [...urls(plain), ...lists]) {
    const answer = await a.ask('GET', url);
    expect([url, answer.status]).toEqual([url, 200]);
    expect([url, a.reads()]).toEqual([url, { replica: expect.any(Number) }]);
  }
  expect((await a.ask('HEAD', `/exports/${plain}/`)).status).toBe(200);
  expect(a.reads()).toEqual({ replica: expect.any(Number) });
  const entries = await primary.query(
    `select count(*)::int as count from audit_log where action = 'export' and data_id = '${plain}'`,
    'lab',
  );
  expect(entries).toEqual([{ count: 3 }]);

  // The other organization, on connections that the first one has used.
  for (const url of urls(foreign)) expect([url, (await a.ask('GET', url)).status]).toEqual([url, 404]);
  for (const url of urls(plain)) {
    expect([url, (await b.ask('GET', url, undefined, keys.rival)).status]).toEqual([url, 404]);
  }
  const found = await Promise.all([keys.lab, keys.rival].map((key) => a.ask('GET', '/data_entries/', undefined, key)));
  const idsOf = ({ json }: (typeof found)[number]) => json.map((entry: { data_id: string }) => entry.data_id);
  expect(found.map(idsOf)).toEqual([expect.arrayContaining([plain]), [foreign]]);
  expect(idsOf(found[0] as (typeof found)[number])).not.toContain(foreign);
  expect([a.reads(), b.reads()]).toEqual([{ replica: expect.any(Number) }, { replica: expect.any(Number) }]);
});

describe('a replica that is in trouble fails no read', () => {
  /** Reads through both servers until it is told to stop. */
  function readOn(servers: ReplicaServer[], dataId: string) {
    const statuses = new Map<number, number>();
    let isOver = false;
    const urls = ['timeseries/', 'points/?channel=t', 'statistics/'].map((what) => `/metrology/${dataId}/${what}`);
    urls.push(`/metrology/stream/${dataId}/chunks`, '/data_entries/', `/exports/${dataId}/?format=csv`);
    const read = async (server: ReplicaServer, i: number) => {
      for (let turn = i; !isOver; turn++) {
        const { status } = await server.ask('GET', urls[turn % urls.length] as string);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    const reading = Promise.all(servers.flatMap((server) => [0, 1, 2, 3].map((i) => read(server, i))));
    return async () => {
      isOver = true;
      await reading;
      return [...statuses.keys()];
    };
  }

  async function openLongRun(server: ReplicaServer) {
    const dataId = await openStream(server);
    await Promise.all(Array.from({ length: 50 }, (_, i) => store(server, dataId, i)));
    return dataId;
  }

  test('killed, down, and back', async () => {
    const dataId = await openLongRun(a);
    const stop = readOn([a, b], dataId);
    await sleep(300);
    await standby.kill();
    await expect
      .poll(() => [a, b].map((one) => one.database.replica?.warning()))
      .toEqual([expect.stringContaining('cannot be reached'), expect.stringContaining('cannot be reached')]);
    await sleep(300);
    await standby.start();
    await Promise.all([a.untilUsed(), b.untilUsed()]);
    await sleep(200);
    expect(await stop()).toEqual([200]);
    expect(a.reads()).toMatchObject({ replica: expect.any(Number), unreachable: expect.any(Number) });
    expect((await readThrough(a, dataId)).reads).toEqual({ replica: 1 });
  });

  test('its sessions are ended while statements run, and a statement is cancelled for the replay', async () => {
    const dataId = await openLongRun(a);
    const stop = readOn([a, b], dataId);
    for (let i = 0; i < 20; i++) {
      await sleep(30);
      await standby.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'metrology-server'`,
      );
    }
    expect(await stop()).toEqual([200]);

    await a.untilUsed();
    const [row] = await primary.query(`select organization_id as id from organizations where name = 'lab'`, 'lab');
    const handle = a.database.readingAs((row as { id: string }).id);
    a.reads();
    const slow = handle.pool.query(
      'select (select count(*) from chunks) as count, pg_is_in_recovery() as stands_by, pg_sleep(2)',
    );
    await sleep(500);
    await primary.query('update chunks set chunk_index = chunk_index', 'lab');
    await primary.query('vacuum chunks', 'lab');
    expect((await slow).rows).toMatchObject([{ count: expect.any(Number), stands_by: false }]);
    expect(a.reads()).toEqual({ replica: 1, conflict: 1 });
  });

  test('it does not answer at all', async () => {
    const dataId = await openLongRun(a);
    onTestFinished(() => standby.signal('SIGCONT'));
    standby.signal('SIGSTOP');
    const startedAt = performance.now();
    expect(await readThrough(a, dataId)).toEqual({ chunks: 50, reads: { unreachable: 1 } });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    const startedAgainAt = performance.now();
    expect(await readThrough(a, dataId)).toEqual({ chunks: 50, reads: { unreachable: 1 } });
    expect(performance.now() - startedAgainAt).toBeLessThan(500);
    standby.signal('SIGCONT');
    await a.untilUsed();
    expect(await readThrough(a, dataId)).toEqual({ chunks: 50, reads: { replica: 1 } });
  });
});

describe('a server that is no replica of this primary is not read', () => {
  test('a promoted standby, and a standby that follows the promoted one', async () => {
    const promoted = await openStandby(primary);
    const primary_conninfo = `host=127.0.0.1 port=${portOf(promoted)} user=metrology`;
    const below = await openStandby(primary, { primary_conninfo });
    const a = await serveWithReplica(primary, promoted.url('lab'), keys.lab);
    const c = await serveWithReplica(primary, below.url('lab'), keys.lab);
    await Promise.all([a.untilUsed(), c.untilUsed()]);
    const dataId = await openStream(a);
    await store(a, dataId, 0);
    expect(await readThrough(c, dataId)).toEqual({ chunks: 1, reads: { replica: 1 } });

    await promoted.query('select pg_promote()');
    // Its log is soon longer than that of the primary, which is the log that counts.
    await promoted.query(
      'create table more as select repeat(md5(i::text), 20) from generate_series(1, 20000) as i',
      'lab',
    );
    await expect.poll(() => isThere(below, 'more')).toBe(true);
    await store(a, dataId, 1);
    const [{ behind } = {}] = await below.query(
      `select pg_wal_lsn_diff('${await flushed(primary)}', pg_last_wal_replay_lsn()) < 0 as behind`,
    );
    expect(behind).toBe(true);
    expect(await readThrough(a, dataId)).toEqual({ chunks: 2, reads: { diverged: 1 } });
    expect(await readThrough(c, dataId)).toEqual({ chunks: 2, reads: { diverged: 1 } });
    await sleep(1_500);
    expect([warningOf(a), warningOf(c)]).toEqual([
      expect.stringContaining('leads to a primary'),
      expect.stringContaining('another timeline'),
    ]);
    await store(a, dataId, 2);
    expect(await readThrough(a, dataId)).toEqual({ chunks: 3, reads: { diverged: 1 } });
    expect(await readThrough(c, dataId)).toEqual({ chunks: 3, reads: { diverged: 1 } });
  });

  test('another database: a sentence says so, at /readyz and in the log', async () => {
    const stranger = await openStranger();
    const server = await serveWithReplica(primary, stranger.url('lab'), keys.lab);
    const dataId = await openStream(server);
    await store(server, dataId, 0);
    await expect.poll(() => warningOf(server)).toContain('another database than DATABASE_URL');
    expect(await readThrough(server, dataId)).toEqual({ chunks: 1, reads: { diverged: 1 } });
    const ready = await server.ask('GET', '/readyz');
    expect([ready.status, ready.json.detail]).toEqual([200, expect.stringContaining('another database')]);
    expect(server.logged()).toContain('another database than DATABASE_URL');

    // The primary itself, and a database of the same PostgreSQL.
    const itself = await serveWithReplica(primary, primary.url('lab'), keys.lab);
    await expect.poll(() => warningOf(itself)).toContain('leads to a primary');
    expect(await readThrough(itself, dataId)).toEqual({ chunks: 1, reads: { diverged: 1 } });
  });

  test('one whose timeline the role may not see', async () => {
    const dataId = await openStream(a);
    await primary.query('revoke pg_read_all_stats from metrology_api');
    await store(a, dataId, 0);
    expect(await readThrough(a, dataId)).toEqual({ chunks: 1, reads: { blind: 1 } });
    expect(warningOf(a)).toContain('grant pg_read_all_stats to metrology_api');
    await primary.query('grant pg_read_all_stats to metrology_api');
    await a.untilUsed();
  });
});

test('while the primary is away reads are refused, as without a replica', async () => {
  const dataId = await openStream(a);
  await store(a, dataId, 0);
  await primary.stop();
  await expect.poll(async () => (await a.ask('GET', `/metrology/${dataId}/timeseries/`)).status).toBe(503);
  await primary.start();
  await expect.poll(async () => (await a.ask('GET', `/metrology/${dataId}/timeseries/`)).status).toBe(200);
});

test('after a failover: the new primary’s own standby at once, and never the old primary, which has a longer log', async () => {
  const next = await openStandby(primary);
  await next.stop();
  await primary.query(
    'create table lost as select repeat(md5(i::text), 20) from generate_series(1, 20000) as i',
    'lab',
  );
  await primary.stop();
  await next.start();
  await next.query('select pg_promote()');
  follow(primary, next);
  await primary.start();
  const fresh = await openStandby(next);

  const good = await serveWithReplica(next, fresh.url('lab'), keys.lab);
  const bad = await serveWithReplica(next, primary.url('lab'), keys.lab);
  const dataId = await openStream(bad);
  await store(bad, dataId, 0);
  await good.untilUsed();
  expect(await readThrough(good, dataId)).toEqual({ chunks: 1, reads: { replica: 1 } });
  await sleep(1_500);
  const { chunks, reads } = await readThrough(bad, dataId);
  expect([chunks, reads.replica]).toEqual([1, undefined]);
  expect(warningOf(bad)).toMatch(/another timeline|receives nothing/);
});

const warningOf = (server: ReplicaServer) => server.database.replica?.warning();
const portOf = (cluster: Cluster) => new URL(cluster.url()).port;

async function isThere(cluster: Cluster, table: string): Promise<boolean> {
  const [row] = await cluster.query(`select to_regclass('${table}') is not null as there`, 'lab');
  return row?.there === true;
}

async function flushed(cluster: Cluster): Promise<string> {
  const [row] = await cluster.query('select pg_current_wal_flush_lsn()::text as lsn');
  return row?.lsn as string;
}

/** Makes a stopped primary a standby of another one, without pg_rewind. */
function follow(cluster: Cluster, upstream: Cluster): void {
  const signal = join(cluster.dataDir, 'standby.signal');
  writeFileSync(signal, '');
  const { uid, gid } = statSync(cluster.dataDir);
  chownSync(signal, uid, gid);
  appendFileSync(
    join(cluster.dataDir, 'postgresql.conf'),
    `primary_conninfo = 'host=127.0.0.1 port=${portOf(upstream)} user=metrology'\n`,
  );
}
