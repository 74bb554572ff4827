import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { expect, onTestFinished } from 'vitest';
import { createKey } from '../../../src/auth/keys.ts';
import { readConfig } from '../../../src/config.ts';
import type { Database } from '../../../src/database/database.ts';
import { openStore, type Store } from '../../../src/process/open-database.ts';
import type { Cluster } from '../../faults/support/postgres-15.ts';
import { startListeningApp } from '../../http/support/listening-app.ts';

const log = pino({ level: 'silent' });

/** Opens a database as a command does, until the end of the test; within 10 s, or it throws. */
export async function open(settings: Record<string, string>): Promise<Store> {
  const store = await openStore(readConfig(settings), log, {
    mayJoin: false,
    limits: { databaseWaitMsMax: 10_000 },
  });
  onTestFinished(() => store.close());
  return store;
}

/** A database of the cluster until the end of the test. @param how of `create database` */
export async function newDatabase(cluster: Cluster, how = ''): Promise<string> {
  const name = `lab_${randomUUID().slice(0, 8)}`;
  await cluster.query(`create database ${name} ${how}`);
  onTestFinished(async () => {
    await cluster.query(`drop database ${name} with (force)`);
  });
  return name;
}

/** The app on a database, with a key of each of two organizations. */
export async function serveOn(database: Database) {
  const keys = { lab: await createKey(database, 'lab', 'ada'), rival: await createKey(database, 'rival', 'eve') };
  const { app, close } = await startListeningApp(database);
  onTestFinished(close);
  const ask = async (method: 'GET' | 'POST', url: string, payload?: object, key = keys.lab) => {
    const answer = await app.inject({ method, url, headers: { 'x-api-key': key }, ...(payload && { payload }) });
    return { status: answer.statusCode, json: answer.json() };
  };
  return { keys, ask };
}

/**
 * Many chunks and reads of two organizations at once.
 * @returns how many answers there were of each status, as `chunk 201` and `read 200`
 */
export async function workload({ keys, ask }: Awaited<ReturnType<typeof serveOn>>, streams: number, chunks: number) {
  const counts: Record<string, number> = {};
  const count = (what: string, status: number) => {
    counts[`${what} ${status}`] = (counts[`${what} ${status}`] ?? 0) + 1;
  };
  const write = async (key: string) => {
    const opened = await ask('POST', '/metrology/stream/initialize', { points_per_chunk: 2 }, key);
    count('initialize', opened.status);
    const data_id = opened.json.data_id;
    for (let i = 0; i < chunks; i++) {
      const points = { timestamps: [2 * i, 2 * i + 1], values: [i, null] };
      const at = { data_id, chunk_index: i, channel_name: 't', ...points };
      const [stored, read, list] = await Promise.all([
        ask('POST', '/metrology/stream/chunk', at, key),
        ask('GET', `/metrology/stream/${data_id}/chunks`, undefined, key),
        ask('GET', '/data_entries/', undefined, key),
      ]);
      count('chunk', stored.status);
      count('ledger', read.status);
      count('search', list.status);
    }
    return data_id as string;
  };
  const ids = await Promise.all(Array.from({ length: streams }, (_, i) => write(i % 2 === 0 ? keys.lab : keys.rival)));
  for (const [i, data_id] of ids.entries()) {
    const foreign = await ask('GET', `/metrology/stream/${data_id}/chunks`, undefined, i % 2 ? keys.lab : keys.rival);
    expect(foreign.status).toBe(404);
  }
  return counts;
}
