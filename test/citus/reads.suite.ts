import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { copyOut } from '../../src/database/copy-out.ts';
import { verify } from '../../src/verify/verify.ts';
import { follow } from '../live/support/follower.ts';
import { spread, urlOfDatabase } from '../support/global-setup.ts';
import {
  copyDatabase,
  joinTestServer,
  nameOfDatabase,
  serveTestDatabase,
  type TestServer,
} from '../support/test-server.ts';
import { readsOf } from './support/asked.ts';
import { type Filled, fillDatabase } from './support/filled.ts';
import { routingOf, statementsOf } from './support/statements.ts';

/* The same rows on one PostgreSQL and on a cluster: every read of them must give the same bytes. */

let single: TestServer;
let cluster: TestServer;
let streams: Filled;
let lab: string;
let folder: string;

beforeAll(async () => {
  const filled = await serveTestDatabase(await copyDatabase(inject('templateName')));
  streams = await fillDatabase(filled);
  await filled.close();
  const databaseUrl = await copyDatabase(nameOfDatabase(filled.databaseUrl));
  await spread(inject('adminUrl'), inject('workerUrls'), nameOfDatabase(databaseUrl));
  // Exports tell when they were made.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
  const limits = {
    points: { overviewChunksMin: 100 },
    overviews: { quietShare: 1, busyShare: 1, walkPauseMs: 0, barrenPauseMs: 0 },
  };
  folder = await mkdtemp(join(tmpdir(), 'metrology-citus-'));
  const configFor = (name: string) => ({
    FINALIZE_GRACE_SECONDS: 0,
    EXPORT_CACHE_BYTES: 64 * 1024 * 1024,
    EXPORT_CACHE_DIR: join(folder, name),
  });
  single = await joinTestServer(filled, configFor('single'), undefined, limits);
  cluster = await joinTestServer({ databaseUrl, keys: filled.keys }, configFor('cluster'), undefined, limits);
  const { rows } = await single.owner.pool.query(`select organization_id from organizations where name = 'lab'`);
  lab = rows[0].organization_id;
}, 300_000);
afterAll(async () => {
  vi.useRealTimers();
  await Promise.all([single?.close(), cluster?.close()]);
  await rm(folder, { recursive: true, force: true });
});

/** Status, the headers that tell of the content, and the bytes; without the time at which the ledger was read. */
async function answerOf({ app, keys }: TestServer, url: string, key = keys.ada) {
  const { statusCode, headers, rawPayload } = await app.inject({ url, headers: { 'x-api-key': key } });
  const { date: _, 'x-request-id': __, ...rest } = headers;
  const body = rawPayload.toString('latin1').replace(/"(read_at|certified_at)":"[^"]*"/, '');
  return { status: statusCode, headers: JSON.stringify(rest), body };
}

/** Asks both. @returns the reads whose answers differ, or are not of the status */
async function differing(urls: readonly string[], status: number, key?: string): Promise<string[]> {
  const found: string[] = [];
  for (const url of urls) {
    const [one, other] = await Promise.all([answerOf(single, url, key), answerOf(cluster, url, key)]);
    const isSame = one.status === other.status && one.headers === other.headers && one.body === other.body;
    if (!isSame || one.status !== status)
      found.push(`${one.status} ${other.status} ${url} ${other.body.slice(0, 200)}`);
  }
  return found;
}

describe('every read of a stream', () => {
  test('gives the same bytes', async () => {
    const { ofOne, ofSeveral } = readsOf(streams);
    expect(await differing([...ofOne, ...ofSeveral], 200)).toEqual([]);
  }, 600_000);

  test('finds nothing for another organization, nor in a deleted stream', async () => {
    const { ofOne, ofSeveral } = readsOf(streams);
    expect(await differing([...ofOne, ...ofSeveral], 404, single.keys.rival)).toEqual([]);
    const gone = readsOf({ ...streams, mixed: streams.deleted });
    const ofGone = gone.ofOne.filter((url) => url.includes(streams.deleted));
    expect(await differing(ofGone, 404)).toEqual([]);
  }, 600_000);

  test('sends each statement to the node of the stream alone', async () => {
    const astray: string[] = [];
    const seen = new Set<string>();
    for (const url of readsOf(streams).ofOne) {
      for (const sent of await statementsOf(cluster, () => answerOf(cluster, url))) {
        const shape = sent.text.replace(/'[^']*'|\d+/g, '?');
        if (seen.has(shape)) continue;
        seen.add(shape);
        const { tasks, hasSubplans } = await routingOf(cluster, lab, sent);
        if (hasSubplans || (tasks !== undefined && tasks !== 1))
          astray.push(`${url} ${tasks} ${hasSubplans} ${sent.text}`);
      }
    }
    expect(astray).toEqual([]);
    expect(seen.size).toBeGreaterThan(20);
  }, 600_000);

  test('writes the same entries of the audit log', async () => {
    const entries = async ({ owner }: TestServer) =>
      (
        await owner.pool.query(
          `select distinct organization_id, action, actor, key_id, key_hint, user_name, data_id, details from audit_log
           where action = 'export' order by data_id, details`,
        )
      ).rows;
    const written = await entries(single);
    expect(written.length).toBeGreaterThan(0);
    expect(await entries(cluster)).toEqual(written);
  });

  test('ends on its node when its client has gone', async () => {
    const gone = new AbortController();
    const text = `select pg_sleep(60) from streams where data_id = '${streams.mixed}'::uuid`;
    const copying = copyOut(cluster.database.as(lab, gone.signal), text);
    const sleeping = () => Promise.all(inject('workerUrls').map(sleepersOf)).then((counts) => counts.some(Boolean));
    await expect.poll(sleeping).toBe(true);
    gone.abort(new Error('gone'));
    await expect(copying).rejects.toThrow();
    await expect.poll(sleeping).toBe(false);
  });
});

async function sleepersOf(workerUrl: string): Promise<number> {
  const client = new pg.Client({ connectionString: urlOfDatabase(workerUrl, nameOfDatabase(cluster.databaseUrl)) });
  await client.connect();
  const { rowCount } = await client.query(
    `select from pg_stat_activity where query like '%pg_sleep%' and state = 'active' and pid <> pg_backend_pid()`,
  );
  await client.end();
  return rowCount ?? 0;
}

describe('who follows', () => {
  const portOf = async ({ app }: TestServer) => {
    if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 });
    return (app.server.address() as AddressInfo).port;
  };

  /** The events that come at first, without the clock. */
  async function firstEvents(server: TestServer, path: string, count: number) {
    const follower = await follow(await portOf(server), path, server.keys.ada);
    await follower.until((events) => events.length >= count);
    await sleep(300);
    follower.leave();
    return follower.events
      .map(({ event, data }) => ({ event, data }))
      .sort((a, b) => (a.data.data_id < b.data.data_id ? -1 : 1));
  }

  test.each([
    ['a run', () => `/metrology/${streams.mixed}/live`, 1],
    ['several runs', () => `/live?data_id=${streams.mixed}&data_id=${streams.long}&data_id=${streams.finalized}`, 3],
    ['the list of runs', () => '/live', 3],
  ])('%s is told the same', async (_, path, count) => {
    const told = await firstEvents(single, path(), count);
    expect(await firstEvents(cluster, path(), count)).toEqual(told);
  });

  test('a run is told what changes in it', async () => {
    const change = ({ owner }: TestServer) =>
      owner.pool.query(
        `update channels set changed_at = '2031-02-03 04:05:06.789012Z', units = 'K' where data_id = $1::uuid and channel_name = 'odd'`,
        [streams.mixed],
      );
    const told = [];
    for (const server of [single, cluster]) {
      const ofRun = await follow(await portOf(server), `/metrology/${streams.mixed}/live`, server.keys.ada);
      const ofList = await follow(await portOf(server), '/live', server.keys.ada);
      await ofRun.until(([first]) => first);
      await ofList.until(([first]) => first);
      const before = ofList.events.length;
      await change(server);
      const inRun = await ofRun.until((events) => events[1]);
      const inList = await ofList.until((events) =>
        events.slice(before).find(({ data }) => data.data_id === streams.mixed),
      );
      told.push([inRun.data, inList.data]);
      ofRun.leave();
      ofList.leave();
    }
    expect(told[0]?.[0].channels).toMatchObject([{ channel_name: 'odd', units: 'K' }]);
    expect(told[1]).toEqual(told[0]);
  });
});

describe('what works over all streams', () => {
  const overviewsOf = async ({ owner }: TestServer) =>
    (
      await owner.pool.query(
        `select data_id, channel_id, "level", block, children, contents_hash, value_count, absent_count, value_sum, value_sum_rest,
           value_squares from overviews order by 1, 2, 3, 4`,
      )
    ).rows;

  test('overviews are made in the background, the same', async () => {
    const made = [];
    for (const server of [single, cluster]) {
      await server.owner.pool.query('delete from overviews where data_id = $1::uuid', [streams.long]);
      const url = `/metrology/${streams.long}/timeseries/?max_points=50`;
      expect((await server.get(url)).status).toBe(200);
      await server.app.overviewsIdle();
      made.push(await overviewsOf(server));
    }
    expect(made[0]?.length).toBeGreaterThan(64);
    expect(made[1]).toEqual(made[0]);
  });

  test('the command verify finds and repairs the same', async () => {
    const found = [];
    for (const server of [single, cluster]) {
      const { pool } = server.owner;
      await pool.query(`update overviews set value_sum = 7 where data_id = $1::uuid and "level" = 1 and block = 3`, [
        streams.long,
      ]);
      await pool.query('delete from overviews where data_id = $1::uuid and "level" = 1 and block = 5', [streams.long]);
      await pool.query('update chunks set null_count = 3 where data_id = $1::uuid and chunk_index = 2', [
        streams.packed,
      ]);
      await pool.query(`update channels set point_count = 1 where data_id = $1::uuid and channel_name = 'odd'`, [
        streams.mixed,
      ]);
      const differences: string[] = [];
      const tally = await verify(server.database, (one) => void differences.push(Object.values(one).join(' ')), {
        repairs: true,
        pageContentsMax: 100,
        pageChannelsMax: 3,
        pageOverviewsMax: 20,
      });
      found.push({ tally, differences: differences.sort(), overviews: await overviewsOf(server) });
    }
    expect(found[0]?.tally).toMatchObject({ overviews: { differ: 3 }, repaired: { left: 0, heldChannels: 0 } });
    expect(found[1]).toEqual(found[0]);
  });
});
