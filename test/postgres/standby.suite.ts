import { chownSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { openStore } from '../../src/process/open-database.ts';
import { openCluster } from '../faults/support/postgres-15.ts';
import { startListeningApp } from '../http/support/listening-app.ts';
import { open, serveOn } from './support/store.ts';

/*
 * A standby takes no writes, but by and by it may be the primary. So it is waited for, and not refused like a read-only database:
 * where it is up to date a server starts on it, reads go on and chunks wait; otherwise the start waits.
 */

test('a standby is waited for until it is the primary', async () => {
  const cluster = await openCluster();
  onTestFinished(() => cluster.remove());
  await cluster.start();
  await cluster.query('create database lab');
  await cluster.query('create database bare');
  const settings = { DATABASE_URL: cluster.url('lab') };
  const before = await open(settings);
  const { keys } = await serveOn(before.database);
  await cluster.stop();
  const signal = join(cluster.dataDir, 'standby.signal');
  writeFileSync(signal, '');
  const { uid, gid } = statSync(cluster.dataDir);
  chownSync(signal, uid, gid);
  await cluster.start();
  expect(await cluster.query('select pg_is_in_recovery() as stands_by')).toEqual([{ stands_by: true }]);

  // Up to date.
  const { database } = await open(settings);
  const listening = await startListeningApp(database);
  onTestFinished(() => listening.close());
  const ask = async (method: 'GET' | 'POST', url: string, payload?: object) => {
    const headers = { 'x-api-key': keys.lab };
    return (await listening.app.inject({ method, url, headers, ...(payload && { payload }) })).statusCode;
  };
  expect(await ask('GET', '/data_entries/')).toBe(200);
  const outcomes = { initialize: 'waits', start: 'waits' };
  const initialize = ask('POST', '/metrology/stream/initialize', { points_per_chunk: 1 }).then((status) => {
    outcomes.initialize = String(status);
  });

  // Without tables.
  const start = openStore(readConfig({ DATABASE_URL: cluster.url('bare') }), pino({ level: 'silent' }), {
    mayJoin: false,
    limits: { databaseWaitMsMax: 60_000 },
  }).then(
    async (store) => {
      outcomes.start = 'opened';
      await store.close();
    },
    (error: Error) => {
      outcomes.start = error.message;
    },
  );
  await sleep(2_000);
  expect(outcomes).toEqual({ initialize: 'waits', start: 'waits' });
  await cluster.query('select pg_promote()');
  await Promise.all([initialize, start]);
  expect(outcomes).toEqual({ initialize: '200', start: 'opened' });
});
