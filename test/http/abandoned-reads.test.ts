import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { accessTo, type ConnectionSource } from '../../src/database/access.ts';
import type { Database } from '../../src/database/database.ts';
import { TooManyWaiting } from '../../src/database/failures.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { type ListeningApp, openConnection, startListeningApp } from './support/listening-app.ts';

/* A rejected promise that nobody holds ends a server process: so none may be left by a read whose client has gone. */

let server: TestServer;
let listening: ListeningApp;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer();
  dataId = (await server.post('/tool-state/stream/initialize', { points_per_chunk: 2 })).json.data_id;
  for (let index = 0; index < 30; index++) {
    for (const channel of ['p', 'q']) {
      const chunk = { data_id: dataId, chunk_index: index, channel_name: channel, timestamps: [index, index + 0.5] };
      await server.post('/tool-state/stream/chunk', { ...chunk, values: [1, 2] });
    }
  }
  const points = { pagePointsMax: 2, pageChunksMax: 1, bufferPointsMax: 4 };
  listening = await startListeningApp(withFaults(server.database), {}, { points });
});
afterAll(async () => {
  await listening?.close();
  await server?.close();
});

/** How many connections reads still get; whoever comes later is refused, after a while. */
const faults = { left: Number.POSITIVE_INFINITY, asked: 0 };

/** The database of the server, with these faults. */
function withFaults(database: Database): Database {
  const as = (organizationId: string) => {
    const organization = database.as(organizationId);
    const { pool } = organization;
    const admit = async () => {
      faults.asked++;
      if (faults.left-- > 0) return;
      await sleep(30);
      throw new TooManyWaiting('The requests of this organization have kept its share');
    };
    const some = {
      connect: () => admit().then(() => pool.connect()),
      query: (...given: Parameters<ConnectionSource['query']>) => admit().then(() => pool.query(...given)),
    } as ConnectionSource;
    return { ...organization, ...accessTo(some) };
  };
  return { ...database, as, readingAs: as };
}

test.each([
  'tool-state/ID/timeseries/',
  'metrology/ID/points/?channel=p',
  'metrology/stream/ID/chunks',
  'exports/ID/?format=csv',
  'exports/ID/?format=parquet',
  'data_entries/',
  'tags/',
])('GET /%s whose client has gone, when there are no more connections', { timeout: 60_000 }, async (path) => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => void unhandled.push(error);
  process.on('unhandledRejection', note);
  onTestFinished(() => void process.off('unhandledRejection', note));
  for (const left of [0, 1, 2, 3, 4, 6, 9]) {
    Object.assign(faults, { left, asked: 0 });
    const connection = await openConnection(listening.port);
    const target = path.replace('ID', dataId);
    await connection.send(`GET /${target} HTTP/1.1\r\nHost: a\r\nX-API-KEY: ${server.keys.ada}\r\n\r\n`);
    // It goes while it waits for the connection that it will not get, or when it needs no more than there are.
    await Promise.race([connection.answer().catch(() => {}), until(() => faults.asked > left)]);
    connection.socket.destroy();
    await sleep(60);
    if (left === 0) expect(faults.asked).toBeGreaterThan(0);
  }
  expect(unhandled).toEqual([]);
});

const until = (isTrue: () => boolean) => expect.poll(isTrue, { timeout: 10_000, interval: 2 }).toBe(true);
