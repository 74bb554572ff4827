import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import { databaseError } from '../../src/database/driver.ts';
import { createOrganizations } from '../../src/database/organizations.ts';
import { createPrimaryPosition, type Position, type PrimaryPosition } from '../../src/database/primary-position.ts';
import { createReplica } from '../../src/database/replica.ts';
import type { Look } from '../../src/database/replica-look.ts';
import { createShares } from '../../src/database/shares.ts';

/* The rules, without a replica: those with one are in test/postgres/replica.suite.ts. */

const limits = {
  ...{ replicaConnectMsMax: 500, replicaWaitMsMax: 60, replicaLookMsMax: 200, replicaLookEveryMs: 10_000 },
  ...{ replicaLagMs: 10, replicaRetryMs: 10, replicaTellMs: 0 },
};
const keepsSessions = async () => true;
const at = (lsn: string): Position => ({ lsn, timeline: 1, identity: 'one' });
const fit: Look = {
  ...{ identity: 'one', isStandby: true, seesTimeline: true, timeline: 1, bytesBehind: 0, seconds: 0, server: 'first' },
  ...{ backend: undefined, firstBackend: undefined },
};

/** A connection whose server says these things of itself, the last one for ever. */
function connection(...looks: Partial<Look>[]) {
  const asked: string[] = [];
  const released: unknown[] = [];
  const client = {
    async query(statement: { text?: string; values?: unknown[] }) {
      if (!statement.text?.includes('pg_last_wal_replay_lsn')) return { rows: [{ from: 'replica' }] };
      asked.push(String(statement.values?.[0]));
      const look = looks.length > 1 ? looks.shift() : looks[0];
      return { rows: [{ ...fit, ...look }] };
    },
    release: (error?: unknown) => released.push(error),
  };
  return { client: client as unknown as pg.PoolClient, asked, released };
}

/** A replica that has been found well, and whose pool then hands out these connections, the last one for ever. */
async function openReplica(position: PrimaryPosition, ...clients: (pg.PoolClient | Error)[]) {
  const handedOut = [connection({}).client, ...clients];
  const pool = {
    async connect() {
      const next = handedOut.length > 1 ? handedOut.shift() : handedOut[0];
      if (next instanceof Error) throw next;
      return next as pg.PoolClient;
    },
  };
  const replica = createReplica({ pool: pool as never, position, keepsSessions, limits });
  const stop = replica.watch({ info() {}, warn() {} });
  await expect.poll(() => replica.warning(), { interval: 1 }).toBeUndefined();
  return { replica, stop, counted: () => Object.fromEntries([...replica.counts()].filter(([, count]) => count > 0)) };
}

const still: PrimaryPosition = { ask: async () => at('0/1') };

describe('the position of the primary', () => {
  test('a caller never gets the answer to a question that was sent before it came, and those that wait share one', async () => {
    const answers: ((lsn: string) => void)[] = [];
    const client = {
      query: () =>
        new Promise((resolve) => {
          answers.push((lsn) => resolve({ rows: [{ lsn, file: '0000000A0000000000000001', identity: 'one' }] }));
        }),
      release() {},
    };
    const position = createPrimaryPosition({ connect: async () => client } as never, 1_000);
    const early = [position.ask(), position.ask()];
    await expect.poll(() => answers.length).toBe(1);
    const late = [position.ask(), position.ask(), position.ask()];
    await sleep(5);
    expect(answers).toHaveLength(1);
    answers[0]?.('0/1');
    expect(await Promise.all(early)).toEqual(early.map(() => ({ lsn: '0/1', timeline: 10, identity: 'one' })));
    await expect.poll(() => answers.length).toBe(2);
    answers[1]?.('0/2');
    expect((await Promise.all(late)).map(({ lsn }) => lsn)).toEqual(['0/2', '0/2', '0/2']);
    expect(answers).toHaveLength(2);
  });

  test('a question that fails fails for those who shared it alone', async () => {
    let isAway = true;
    const client = {
      query: async () => {
        if (isAway) throw new Error('away');
        return { rows: [{ lsn: '0/1', file: '000000010000000000000001', identity: 'one' }] };
      },
      connection: { stream: { destroy() {} } },
      release() {},
    };
    const position = createPrimaryPosition({ connect: async () => client } as never, 1_000);
    await expect(position.ask()).rejects.toThrow('away');
    isAway = false;
    expect((await position.ask()).lsn).toBe('0/1');
  });
});

describe('a read', () => {
  test('waits for a replica that is behind, and asks it for the position of the time when the read began', async () => {
    let lsn = 0;
    const behind = connection({ bytesBehind: 200 }, { bytesBehind: 10 }, {});
    const { replica, stop, counted } = await openReplica({ ask: async () => at(`0/${++lsn}`) }, behind.client);
    const read = replica.begin();
    expect(await read.connect()).toBe(behind.client);
    expect(behind.asked).toEqual(['0/2', '0/2', '0/2']);
    expect(await read.connect()).toBe(behind.client);
    expect([behind.asked.at(-1), counted()]).toEqual(['0/2', { replica: 1 }]);
    expect(replica.lag()).toEqual({ bytes: 0, seconds: 0 });
    stop();
  });

  test('of a replica that stays behind goes to the primary with all its statements; the next read does not wait', async () => {
    const behind = connection({ bytesBehind: 1, seconds: 3 });
    const { replica, stop, counted } = await openReplica(still, behind.client);
    const read = replica.begin();
    const startedAt = performance.now();
    expect(await read.connect()).toBeUndefined();
    expect(performance.now() - startedAt).toBeGreaterThan(20);
    expect(replica.lag()).toEqual({ bytes: 1, seconds: 3 });
    expect(await read.connect()).toBeUndefined();
    const looks = behind.asked.length;
    expect(await replica.begin().connect()).toBeUndefined();
    expect([behind.asked.length, counted()]).toEqual([looks, { lagging: 2 }]);
    stop();
  });

  test('that comes to another server asks the primary anew: that one may be behind what the read has seen', async () => {
    let lsn = 0;
    const first = connection({ server: 'first' });
    const second = connection({ server: 'second' });
    const { replica, stop } = await openReplica(
      { ask: async () => at(`0/${++lsn}`) },
      ...[first.client, first.client, second.client, first.client],
    );
    const read = replica.begin();
    for (let i = 0; i < 4; i++) await read.connect();
    expect(first.asked).toEqual(['0/2', '0/2', '0/2', '0/4']);
    expect(second.asked).toEqual(['0/2', '0/3']);
    stop();
  });

  test.each([
    ['a process that another connection may have too', { backend: 7 }, 'pooled'],
    ['another database', { identity: 'two' }, 'diverged'],
    ['no standby', { isStandby: false }, 'diverged'],
    ['another timeline', { timeline: 2 }, 'diverged'],
    ['a timeline that may not be seen', { timeline: null, seesTimeline: false }, 'blind'],
    ['nothing that streams', { timeline: null }, 'lagging'],
  ])('is not for a server with %s, and its connection is closed', async (_, look, why) => {
    const one = connection(look);
    const { replica, stop, counted } = await openReplica(still, one.client);
    expect(await replica.begin().connect()).toBeUndefined();
    expect(counted()).toEqual({ [why]: 1 });
    expect(one.released[0]).toBeInstanceOf(Error);
    stop();
  });

  test('goes to the primary when that gives no position, and the replica is not blamed', async () => {
    let isAway = false;
    const ask = async () => {
      if (isAway) throw new Error('away');
      return at('0/1');
    };
    const { replica, stop, counted } = await openReplica({ ask }, connection({}).client);
    isAway = true;
    expect(await replica.begin().connect()).toBeUndefined();
    expect([counted(), replica.warning()]).toEqual([{ unasked: 1 }, undefined]);
    stop();
  });
});

test('a replica that is back is used again, and the log tells of both', async () => {
  const lines: string[] = [];
  const pool = {
    isThere: true,
    connect: async () => (pool.isThere ? connection({}).client : Promise.reject(new Error('gone'))),
  };
  const replica = createReplica({ pool: pool as never, position: still, keepsSessions, limits });
  const stop = replica.watch({ info: (_, text) => lines.push(text), warn: (_, text) => lines.push(text) });
  await expect.poll(() => replica.warning(), { interval: 1 }).toBeUndefined();
  pool.isThere = false;
  expect(await replica.begin().connect()).toBeUndefined();
  expect(replica.warning()).toContain('cannot be reached');
  await sleep(50);
  pool.isThere = true;
  await expect.poll(() => replica.warning(), { interval: 1 }).toBeUndefined();
  expect(lines).toEqual(['reads go to the replica', 'reads go to the primary', 'reads go to the replica']);
  stop();
});

test.each(['40001', '57P01', '53100', '25006', '08006'] as const)(
  'a statement that fails on the replica with %s runs again on the primary; one that fails there too does not',
  async (code) => {
    const failing = connection({});
    const look = failing.client.query.bind(failing.client) as (statement: object) => Promise<unknown>;
    failing.client.query = (async (statement: { text?: string; name?: string }) => {
      if (statement.text?.includes('replay_lsn') || statement.name === 'name_organization') return look(statement);
      throw databaseError('trouble', code as never);
    }) as never;
    const { replica, stop, counted } = await openReplica(still, failing.client);
    let isHealthy = true;
    let ran = 0;
    const primary = {
      async query(statement: { name?: string }) {
        if (statement.name === 'name_organization') return { rows: [] };
        ran++;
        if (!isHealthy) throw databaseError('trouble', code as never);
        return { rows: [{ from: 'primary' }] };
      },
      release() {},
    } as unknown as pg.PoolClient;
    const { readingAs } = createOrganizations({
      general: { connect: async () => primary },
      lendToRead: () => {
        const read = replica.begin();
        return { connect: async () => (await read.connect()) ?? primary, runsAgain: read.leavesAfter };
      },
      shares: createShares({ connectionsMax: 2, waitingPerOrganizationMax: 9, waitMsMax: 1_000 }),
      ingest: undefined as never,
      abandonedMsMax: 100,
      isDistributed: async () => false,
    });
    const { pool } = readingAs('00000000-0000-4000-8000-000000000001');
    expect((await pool.query({ text: 'select' })).rows).toEqual([{ from: 'primary' }]);
    expect(failing.released.at(-1)).toMatchObject({ code });
    expect(counted()).toEqual({ replica: 1, [/^(57|08)/.test(code) ? 'unreachable' : 'conflict']: 1 });
    isHealthy = false;
    await expect(pool.query({ text: 'select' })).rejects.toMatchObject({ code });
    expect(ran).toBe(2);
    stop();
  },
);

test('a replica whose connections do not keep their sessions is not used, until they do', async () => {
  let isSession = false;
  const replica = createReplica({
    pool: { connect: async () => connection({}).client } as never,
    position: still,
    keepsSessions: async () => isSession,
    limits,
  });
  const stop = replica.watch({ info() {}, warn() {} });
  await expect.poll(() => replica.warning(), { interval: 1 }).toContain('pooler in transaction mode');
  expect(await replica.begin().connect()).toBeUndefined();
  isSession = true;
  await expect.poll(() => replica.warning(), { interval: 1 }).toBeUndefined();
  stop();
});

test('a replica that is in another trouble at each look fills no log', async () => {
  const lines: string[] = [];
  const troubles = connection(
    ...Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? { timeline: null } : { identity: 'two' })),
  );
  const replica = createReplica({
    pool: { connect: async () => troubles.client } as never,
    position: still,
    keepsSessions,
    limits: { ...limits, replicaTellMs: 10_000 },
  });
  const stop = replica.watch({ info: (_, text) => lines.push(text), warn: (_, text) => lines.push(text) });
  await expect.poll(() => troubles.asked.length, { interval: 1 }).toBeGreaterThan(6);
  expect(lines).toEqual(['reads go to the primary']);
  stop();
});
