import { pino } from 'pino';
import { expect } from 'vitest';
import { createKey } from '../../../src/auth/keys.ts';
import { type Database, openDatabase } from '../../../src/database/database.ts';
import type { DatabaseLimits } from '../../../src/database/limits.ts';
import type { ReadOutcome } from '../../../src/database/replica.ts';
import { prepareDatabase } from '../../../src/process/open-database.ts';
import { type Cluster, openCluster } from '../../faults/support/postgres-15.ts';
import { startListeningApp } from '../../http/support/listening-app.ts';

/** Small. Autovacuum would write on its own. */
const settings = {
  shared_buffers: '16MB',
  wal_keep_size: '256MB',
  autovacuum: 'off',
  min_wal_size: '32MB',
};

const opened: (() => Promise<unknown>)[] = [];

/** Closes all that was opened here. */
export async function closeAll(): Promise<void> {
  for (const close of opened.splice(0).reverse()) await close();
}

export async function openPrimary(): Promise<Cluster> {
  const primary = await openCluster({ settings });
  opened.push(() => primary.remove());
  await primary.start();
  await primary.query('create database lab');
  await prepareDatabase(addressesOf(primary), pino({ level: 'silent' }), {
    limits: { databaseWaitMsMax: 10_000, databasePauseMs: 50, waitLogMs: 1_000 },
    mustBeDurable: true,
    readsReplica: true,
  });
  return primary;
}

const addressesOf = (cluster: Cluster) => {
  const url = cluster.url('lab');
  return { connectionString: url, ownerUrl: url, place: 'test', ownsLogin: false };
};

/** A PostgreSQL that is no standby of any other, with a database and a role of the same names. */
export async function openStranger(): Promise<Cluster> {
  const stranger = await openCluster({ settings });
  opened.push(() => stranger.remove());
  await stranger.start();
  await stranger.query('create database lab');
  await stranger.query('create role metrology_api');
  return stranger;
}

export async function openStandby(of: Cluster, more: Record<string, string> = {}): Promise<Cluster> {
  const standby = await openCluster({ settings: { ...settings, ...more }, standbyOf: of });
  opened.push(() => standby.remove());
  await standby.start();
  return standby;
}

export interface Answer {
  status: number;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  json: any;
}

/** A server on the primary that reads from the replica. */
export interface ReplicaServer {
  database: Database;
  logged(): string;
  ask(method: 'GET' | 'HEAD' | 'POST', url: string, payload?: object, key?: string): Promise<Answer>;
  /** Reads by where they went, since the last call of this. */
  reads(): Partial<Record<ReadOutcome, number>>;
  untilUsed(): Promise<void>;
}

export async function serveWithReplica(
  primary: Cluster,
  replicaUrl: string,
  key: string,
  limits: Partial<DatabaseLimits> = {},
): Promise<ReplicaServer> {
  const database = openDatabase(primary.url('lab'), {
    poolMax: 8,
    onIdleError: () => {},
    replica: replicaUrl,
    limits: { replicaTellMs: 0, ...limits },
  });
  opened.push(() => database.close());
  await database.readiness.look();
  const { app, close, logged } = await startListeningApp(database, { BODY_LIMIT_BYTES: 4 * 1024 * 1024 });
  opened.push(close);
  let before: Partial<Record<ReadOutcome, number>> = {};
  return {
    database,
    logged,
    async ask(method, url, payload, as = key) {
      const headers = { 'x-api-key': as };
      const answer = await app.inject({ method, url, headers, ...(payload && { payload }) });
      const text = answer.payload;
      const isJson = String(answer.headers['content-type']).startsWith('application/json');
      return { status: answer.statusCode, text, json: isJson && text !== '' ? JSON.parse(text) : undefined };
    },
    reads() {
      const now = Object.fromEntries(database.replica?.counts() ?? []) as Record<ReadOutcome, number>;
      const since = Object.entries(now).map(([name, count]) => [name, count - (before[name as ReadOutcome] ?? 0)]);
      before = now;
      return Object.fromEntries(since.filter(([, count]) => count !== 0));
    },
    untilUsed: () => expect.poll(() => database.replica?.warning(), { interval: 10 }).toBeUndefined(),
  };
}

/** Keys of two organizations. */
export async function keysOn(primary: Cluster): Promise<{ lab: string; rival: string }> {
  const database = openDatabase(primary.url('lab'), { poolMax: 2, onIdleError: () => {} });
  try {
    return { lab: await createKey(database, 'lab', 'ada'), rival: await createKey(database, 'rival', 'eve') };
  } finally {
    await database.close();
  }
}

export async function openStream({ ask }: ReplicaServer, key?: string): Promise<string> {
  const { status, json } = await ask('POST', '/metrology/stream/initialize', { points_per_chunk: 2 }, key);
  expect(status).toBe(200);
  return json.data_id as string;
}

/** Sends one chunk of two points. @throws unless it is acknowledged */
export async function store({ ask }: ReplicaServer, dataId: string, index: number, key?: string): Promise<void> {
  const points = { timestamps: [2 * index, 2 * index + 1], values: [index, index + 0.5] };
  const chunk = { data_id: dataId, chunk_index: index, channel_name: 't', ...points };
  expect((await ask('POST', '/metrology/stream/chunk', chunk, key)).status).toBe(201);
}

/** How many chunks a read shows. */
export async function countChunks({ ask }: ReplicaServer, dataId: string, key?: string): Promise<number> {
  const { status, json } = await ask('GET', `/metrology/${dataId}/points/?channel=t`, undefined, key);
  expect(status, JSON.stringify(json)).toBe(200);
  return json.chunks.length;
}
