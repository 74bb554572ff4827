import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { newApiKey } from '../../src/auth/api-key.ts';
import { openDatabase } from '../../src/database/database.ts';
import { loginOf } from '../support/global-setup.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { type ListeningApp, openConnection, startListeningApp } from './support/listening-app.ts';
import { startTcpProxy } from './support/tcp-proxy.ts';

/* Whoever has no known key takes nothing from anybody who has one: room, connections, look-ups, the event loop. */

const limit = 64 * 1024;
let server: TestServer;
let listening: ListeningApp;
let dataId: string;
let index = 0;

beforeAll(async () => {
  server = await startTestServer();
  // All the room there is holds one body.
  listening = await startListeningApp(server.database, { BODY_LIMIT_BYTES: limit, BODIES_LIMIT_BYTES: limit });
  dataId = (await server.post('/tool-state/stream/initialize', { points_per_chunk: 1 })).json.data_id;
});
afterAll(async () => {
  await listening?.close();
  await server?.close();
});

type Connection = Awaited<ReturnType<typeof openConnection>>;

async function connect({ port }: ListeningApp = listening): Promise<Connection> {
  const connection = await openConnection(port);
  onTestFinished(() => void connection.socket.destroy());
  return connection;
}

const head = (line: string, ...headers: string[]) => [`${line} HTTP/1.1`, 'Host: a', ...headers, '', ''].join('\r\n');
const keyed = (key = server.keys.ada) => `X-API-KEY: ${key}`;

function chunkRequest(key?: string, body?: Buffer | string): Buffer {
  const sent =
    body ??
    JSON.stringify({ data_id: dataId, chunk_index: index++, channel_name: 'p', timestamps: [1], values: [index] });
  const headers = ['Content-Type: application/json', `Content-Length: ${sent.length}`];
  const start = head('POST /tool-state/stream/chunk', ...headers, ...(key === undefined ? [] : [keyed(key)]));
  return Buffer.concat([Buffer.from(start), Buffer.from(sent)]);
}

/** Stores a chunk on a new connection, as the SDK does. @returns its status and how long it took */
async function store(app: ListeningApp = listening, key = server.keys.ada): Promise<{ status: number; ms: number }> {
  const startedAt = performance.now();
  const connection = await connect(app);
  await connection.send(chunkRequest(key));
  const { status } = await connection.answer();
  connection.socket.destroy();
  return { status, ms: performance.now() - startedAt };
}

/** Stores a chunk that takes all the room there is. */
async function storeLargest(): Promise<void> {
  const chunk = { data_id: dataId, chunk_index: index++, channel_name: 'p', timestamps: [1], values: [1] };
  const connection = await connect();
  await connection.send(chunkRequest(server.keys.ada, JSON.stringify(chunk).padEnd(limit, ' ')));
  expect((await connection.answer()).status).toBe(201);
}

describe('bodies without a key', () => {
  const bundle = head('GET /docs/swagger-ui-bundle.js');
  const unread: [string, string][] = [
    ['GET /healthz, chunked', head('GET /healthz', 'Transfer-Encoding: chunked')],
    ['GET /healthz, gzip of length 63', head('GET /healthz', 'Content-Encoding: gzip', 'Content-Length: 63')],
    ['a chunk without a key', head('POST /tool-state/stream/chunk', `Content-Length: ${limit}`)],
    [
      'a chunk under an unknown key',
      head('POST /tool-state/stream/chunk', `Content-Length: ${limit}`, keyed(newApiKey())),
    ],
    ['an unknown path', head('POST /nothing', 'Transfer-Encoding: chunked')],
  ];
  test.each(unread)(
    '%s, behind eight answers that nobody reads, on ten connections: no room is taken',
    async (_what, last) => {
      for (let i = 0; i < 10; i++) {
        const connection = await connect();
        connection.socket.pause();
        await connection.send(bundle.repeat(8) + last);
      }
      await sleep(200);
      for (let i = 0; i < 3; i++) expect(await store()).toMatchObject({ status: 201 });
      expect((await listening.app.inject('/metrics')).body).toContain('metrology_http_bodies_bytes 0\n');
    },
  );
});

test('a read that announces a body takes no room, under a key that may only read', async () => {
  for (let i = 0; i < 4; i++) {
    const path = `/metrology/${dataId}/points/?channel=p`;
    const connection = await connect();
    await connection.send(head(`GET ${path}`, `Content-Length: ${limit}`, keyed()));
  }
  await storeLargest();
});

test('bodies that drip hold what has arrived of them, and others go on', async () => {
  const dripping = head(
    'POST /tool-state/stream/chunk',
    'Content-Type: application/json',
    'Content-Encoding: gzip',
    `Content-Length: ${limit - 1}`,
    keyed(),
  );
  for (let i = 0; i < 4; i++)
    await (await connect()).send(Buffer.concat([Buffer.from(dripping), gzipSync('{').subarray(0, 5)]));
  await sleep(100);
  expect((await listening.app.inject('/metrics')).body).toContain('metrology_http_bodies_bytes 0\n');
  await storeLargest();
});

describe('a body that was answered before it was read', () => {
  const targets: [string, string, number][] = [
    ['an open route', head('GET /healthz', 'Transfer-Encoding: chunked'), 200],
    ['no route', head('POST /nothing', 'Transfer-Encoding: chunked'), 404],
    ['a chunk without a key', head('POST /tool-state/stream/chunk', 'Transfer-Encoding: chunked'), 401],
    ['a chunk with a length', head('POST /tool-state/stream/chunk', 'Content-Length: 99999999'), 401],
  ];
  const part = Buffer.concat([Buffer.from('8000\r\n'), Buffer.alloc(0x8000, 'x'), Buffer.from('\r\n')]);

  test.each(targets)(
    '%s: it may go on for bodyDrainBytesMax, then the connection is closed',
    async (_, start, status) => {
      const app = await startListeningApp(server.database, {}, { http: { bodyDrainBytesMax: 1_000_000 } });
      onTestFinished(() => app.close());
      const connection = await connect(app);
      await connection.send(start);
      expect((await connection.answer()).status).toBe(status);
      let sent = 0;
      for (; sent < 2_000 && !connection.socket.destroyed; sent++) await connection.send(part).catch(() => {});
      expect(sent).toBeLessThan(2_000);
      await connection.ended();
    },
  );

  test.each(targets)('%s: it may go on for bodyDrainMsMax, then the connection is closed', async (_, start, status) => {
    const app = await startListeningApp(server.database, {}, { http: { bodyDrainMsMax: 200 } });
    onTestFinished(() => app.close());
    const connection = await connect(app);
    await connection.send(start);
    expect((await connection.answer()).status).toBe(status);
    await connection.ended();
  });

  test('one that ends leaves its connection to the next request', async () => {
    const app = await startListeningApp(server.database, {}, { http: { unwantedBytesPerTurn: 1_000 } });
    onTestFinished(() => app.close());
    const connection = await connect(app);
    for (const [, start, status] of targets.slice(0, 3)) {
      await connection.send(start);
      expect((await connection.answer()).status).toBe(status);
      for (let i = 0; i < 20; i++) await connection.send(part);
      await connection.send('0\r\n\r\n');
    }
    await connection.send(chunkRequest(server.keys.ada));
    expect((await connection.answer()).status).toBe(201);
  });
});

describe('Expect: 100-continue', () => {
  const announced = (path: string, key: string | undefined, ...more: string[]) =>
    head(
      `POST ${path}`,
      'Expect: 100-continue',
      'Content-Type: application/json',
      ...more,
      ...(key === undefined ? [] : [keyed(key)]),
    );
  const chunk = '/tool-state/stream/chunk';
  const length = `Content-Length: ${limit}`;

  test.each<[string, number, () => string]>([
    ['without a key', 401, () => announced(chunk, undefined, length)],
    ['under an unknown key', 401, () => announced(chunk, newApiKey(), length)],
    ['for no route', 404, () => announced('/nothing', server.keys.ada, length)],
    ['for more than is taken', 413, () => announced(chunk, server.keys.ada, `Content-Length: ${limit + 1}`)],
    ['for an encoding that is not taken', 415, () => announced(chunk, server.keys.ada, length, 'Content-Encoding: br')],
  ])('%s is answered %i at once, and the body is not asked for', async (_what, status, request) => {
    const connection = await connect();
    await connection.send(request());
    const answer = await connection.answer();
    expect(answer.status).toBe(status);
    expect(answer.head).toMatch(/^connection: close$/im);
    expect(await connection.ended()).toBe('closed');
  });

  test('under a known key the body is asked for, stored, and the connection kept', async () => {
    const connection = await connect();
    for (let i = 0; i < 2; i++) {
      const [, body] = chunkRequest(server.keys.ada).toString('latin1').split('\r\n\r\n') as [string, string];
      await connection.send(announced(chunk, server.keys.ada, `Content-Length: ${body.length}`));
      expect((await connection.answer()).status).toBe(100);
      await connection.send(body);
      expect(await connection.answer()).toMatchObject({
        status: 201,
        head: expect.not.stringMatching(/^connection: close$/im),
      });
    }
  });
});

describe('pipelined requests', () => {
  test('all are answered in order, a few at a time, and none is refused', async () => {
    const connection = await connect();
    const requests = Array.from({ length: 600 }, () => head('GET /healthz')).join('');
    await connection.send(requests);
    for (let i = 0; i < 600; i++) expect((await connection.answer()).status).toBe(200);
    await connection.send(chunkRequest(server.keys.ada));
    expect((await connection.answer()).status).toBe(201);
  });

  test('chunks behind each other on one connection, with bodies, are all stored', async () => {
    const connection = await connect();
    await connection.send(Buffer.concat(Array.from({ length: 200 }, () => chunkRequest(server.keys.ada))));
    for (let i = 0; i < 200; i++) expect((await connection.answer()).status).toBe(201);
  });

  test('a connection that reads no answers is not read beyond what one read has brought', async () => {
    const accepted = new Promise<Socket>((resolve) => listening.app.server.once('connection', resolve));
    const connection = await connect();
    const served = await accepted;
    connection.socket.pause();
    // More than the kernel holds between the two, so that the server could read on for as long as it likes.
    // Long ones, so that one read brings fewer than requestsAheadMax.
    const request = head('GET /docs/swagger-ui-bundle.js', `X-Padding: ${'x'.repeat(500)}`);
    const requests = Buffer.from(request.repeat(50_000));
    connection.socket.write(requests);
    await expect.poll(() => served.bytesRead).toBeGreaterThan(0);
    await sleep(300);
    const oneRead = 64 * 1024;
    expect(served.bytesRead).toBeLessThanOrEqual(2 * oneRead);
    expect(served.destroyed).toBe(false);
    expect(await store()).toMatchObject({ status: 201 });
  });

  test('more than requestsAheadMax closes the connection of whoever sends them, and no other', async () => {
    const app = await startListeningApp(server.database, {}, { http: { requestsAheadMax: 50 } });
    onTestFinished(() => app.close());
    const connection = await connect(app);
    await connection.send(head('GET /healthz').repeat(500)).catch(() => {});
    await connection.ended();
    expect(await store(app)).toMatchObject({ status: 201 });
  });

  test('whoever is closed so leaves a parser that serves others', async () => {
    const app = await startListeningApp(server.database, {}, { http: { strangersAheadMax: 40 } });
    onTestFinished(() => app.close());
    for (let round = 0; round < 20; round++) {
      const flooding = await connect(app);
      await flooding.send(head('GET /healthz').repeat(1_000)).catch(() => {});
      await flooding.ended();
      const other = await connect(app);
      await other.send(head('GET /healthz').repeat(10) + head('GET /nowhere'));
      for (let i = 0; i < 10; i++) expect((await other.answer()).status).toBe(200);
      expect((await other.answer()).status).toBe(404);
    }
    const bodies = Array.from({ length: 10 }, () => store(app));
    for (const { status } of await Promise.all(bodies)) expect(status).toBe(201);
  });

  test('beyond keyedAheadMax those of an organization wait in the kernel, all are answered, and others are served', async () => {
    const app = await startListeningApp(server.database, {}, { http: { keyedAheadMax: 400 } });
    onTestFinished(() => app.close());
    const flooding = await Promise.all(Array.from({ length: 12 }, () => connect(app)));
    const text = head('GET /healthz', keyed()) + head('GET /healthz').repeat(600);
    let ended = 0;
    const all = flooding.map(async (connection) => {
      // Keyed before any sends ahead.
      await connection.send(head('GET /tags/', keyed()));
      expect((await connection.answer()).status).toBe(200);
      await connection.send(text);
      for (let i = 0; i < 601; i++) expect((await connection.answer()).status).toBe(200);
      ended++;
    });
    expect(await store(app, server.keys.rival)).toMatchObject({ status: 404 });
    await Promise.all(all);
    expect(ended).toBe(12);
    expect(await store(app)).toMatchObject({ status: 201 });
  });

  test('whoever takes no answers makes its own organization wait for keyedOverMsMax at most, and no other', async () => {
    const limits = { keyedAheadMax: 100, keyedOverMsMax: 500 };
    const app = await startListeningApp(server.database, {}, { http: limits });
    onTestFinished(() => app.close());
    const flooding = await Promise.all(Array.from({ length: 4 }, () => connect(app)));
    for (const one of flooding) {
      one.socket.pause();
      await one.send(head('GET /tags/', keyed()) + head('GET /docs/swagger-ui-bundle.js').repeat(400)).catch(() => {});
    }
    expect((await store(app, server.keys.rival)).status).toBe(404);
    expect(await store(app)).toMatchObject({ status: 201 });
  });

  test('strangersAheadMax bounds them over all connections without a key; keys do not count', async () => {
    const app = await startListeningApp(server.database, {}, { http: { strangersAheadMax: 100 } });
    onTestFinished(() => app.close());
    const flooding = await Promise.all(Array.from({ length: 4 }, () => connect(app)));
    for (const one of flooding) {
      one.socket.pause();
      await one.send(head('GET /docs/swagger-ui-bundle.js').repeat(80)).catch(() => {});
    }
    await expect.poll(() => new Promise((resolve) => app.app.server.getConnections((_e, n) => resolve(n)))).toBe(1);
    const known = await connect(app);
    await known.send(chunkRequest(server.keys.ada));
    expect((await known.answer()).status).toBe(201);
    await known.send(Buffer.concat(Array.from({ length: 150 }, () => chunkRequest(server.keys.ada))));
    for (let i = 0; i < 150; i++) expect((await known.answer()).status).toBe(201);
  });
});

describe('a flood of keys that nobody has', () => {
  test('leaves a chunk of somebody with a key answered in less than a second, and its key known', async () => {
    await store();
    let isOver = false;
    const flood = Array.from({ length: 20 }, async () => {
      const connection = await connect();
      while (!isOver) {
        const keys = Array.from({ length: 50 }, () => head('GET /data_entries/', keyed(newApiKey())));
        await connection.send(keys.join(''));
        for (let i = 0; i < keys.length && !isOver; i++) expect((await connection.answer()).status).toBe(401);
      }
    });
    const times: number[] = [];
    for (let i = 0; i < 10; i++) {
      const { status, ms } = await store();
      expect(status).toBe(201);
      times.push(ms);
      await sleep(50);
    }
    // One that is seen for the first time gets in between them too.
    expect(await store(listening, server.keys.rival)).toMatchObject({ status: 404 });
    isOver = true;
    await Promise.all(flood);
    expect(times.sort((a, b) => a - b)[5]).toBeLessThan(1_000);
  });
});

describe('the database is away', () => {
  test('a known key is served from memory; one that is not known waits before its body is read, then 503', async () => {
    const proxy = await startTcpProxy(loginOf(server.databaseUrl));
    const database = openDatabase(proxy.urlOf(loginOf(server.databaseUrl)), { poolMax: 2, onIdleError: () => {} });
    const app = await startListeningApp(database, {}, { auth: { strangerWaitMsMax: 1_500, lookUpRetryMs: 50 } });
    onTestFinished(async () => {
      await app.close();
      await database.close();
      await proxy.close().catch(() => {});
    });
    expect(await store(app)).toMatchObject({ status: 201 });
    await proxy.close();
    const known = await connect(app);
    await known.send(head('GET /data_entries/', keyed()));
    // 503 is the read's, not the key's.
    expect((await known.answer()).body).toContain('The database cannot be reached');
    const wrong = await connect(app);
    await wrong.send(head('GET /data_entries/', keyed('msk1_cut')));
    expect((await wrong.answer()).status).toBe(401);

    const unknown = await connect(app);
    await unknown.send(head('GET /data_entries/', keyed(newApiKey())));
    const refused = await unknown.answer();
    expect(refused.status).toBe(503);
    expect(refused.head).toMatch(/^retry-after: \d+$/im);
    expect(refused.body).toContain('1500 ms (strangerWaitMsMax)');

    const late = await connect(app);
    await late.send(head('GET /data_entries/', keyed(server.keys.grace)));
    await sleep(200);
    await proxy.open();
    // The read may find that the database has only just come back; its key was found.
    expect((await late.answer()).body).not.toContain('strangerWaitMsMax');
    await expect.poll(() => store(app, server.keys.grace), { timeout: 10_000 }).toMatchObject({ status: 201 });
  });
});

describe('connections', () => {
  test('for one beyond connectionsMax the oldest without a known key is closed, never one with', async () => {
    const app = await startListeningApp(server.database, {}, { http: { connectionsMax: 4 } });
    onTestFinished(() => app.close());
    const known = await connect(app);
    await known.send(chunkRequest(server.keys.ada));
    expect((await known.answer()).status).toBe(201);
    const silent = [await connect(app), await connect(app), await connect(app)];
    for (let i = 0; i < 5; i++) expect(await store(app)).toMatchObject({ status: 201 });
    expect(await silent[0]?.ended()).toBe('closed');
    await known.send(chunkRequest(server.keys.ada));
    expect((await known.answer()).status).toBe(201);
  });

  test('by itself a server leaves descriptorsKept files to the process', async () => {
    const { connectionsFor } = await import('../../src/http/descriptors.ts');
    expect(connectionsFor(100) - connectionsFor(300)).toBe(200);
    expect(connectionsFor(1e9)).toBe(16);
  });

  test('one on which nothing moves is closed after connectionSilentMsMax', async () => {
    const app = await startListeningApp(server.database, {}, { http: { connectionSilentMsMax: 300 } });
    onTestFinished(() => app.close());
    const silent = await connect(app);
    expect(await silent.ended()).toBe('closed');
    const unread = await connect(app);
    unread.socket.pause();
    await unread.send(head('GET /docs/swagger-ui-bundle.js').repeat(8));
    await expect.poll(() => new Promise((resolve) => app.app.server.getConnections((_e, n) => resolve(n)))).toBe(0);
  });

  test('paused ones that never send a whole head are closed after headersMsMax', async () => {
    const app = await startListeningApp(server.database, {}, { http: { headersMsMax: 2_000, strangersReadMax: 4 } });
    onTestFinished(() => app.close());
    const connections = await Promise.all(Array.from({ length: 40 }, () => connect(app)));
    for (const { send } of connections) await send(`GET / HTTP/1.1\r\n${'a:\r\n'.repeat(15_000)}`);
    // Node looks for them every 30 s by itself.
    for (const { ended } of connections) expect(await ended()).toBe('closed');
  }, 90_000);
});
