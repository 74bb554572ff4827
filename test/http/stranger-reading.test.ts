import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { type ListeningApp, openConnection, startListeningApp } from './support/listening-app.ts';

/* More connections without a key than are read at a time. */

let server: TestServer;
let app: ListeningApp;
let dataId: string;
let index = 0;

beforeAll(async () => {
  server = await startTestServer();
  app = await startListeningApp(server.database, {}, { http: { strangersReadMax: 4 } });
  dataId = (await server.post('/tool-state/stream/initialize', { points_per_chunk: 1 })).json.data_id;
});
afterAll(async () => {
  await app?.close();
  await server?.close();
});

async function connect() {
  const connection = await openConnection(app.port);
  onTestFinished(() => void connection.socket.destroy());
  return connection;
}

const connectMany = (count: number) => Promise.all(Array.from({ length: count }, connect));

const countConnections = () =>
  new Promise<number>((resolve) => app.app.server.getConnections((_error, count) => resolve(count)));

const head = (line: string, ...headers: string[]) => [`${line} HTTP/1.1`, 'Host: a', ...headers, '', ''].join('\r\n');

function chunk(): string {
  const body = { data_id: dataId, chunk_index: index++, channel_name: 'p', timestamps: [1], values: [index] };
  const text = JSON.stringify(body);
  const headers = [`X-API-KEY: ${server.keys.ada}`, 'Content-Type: application/json', `Content-Length: ${text.length}`];
  return head('POST /tool-state/stream/chunk', ...headers) + text;
}

describe('while 60 connections say nothing', () => {
  test('a chunk that comes long after its connection is stored, whole or in pieces, and so are all behind it', async () => {
    await connectMany(60);
    const connection = await connect();
    await sleep(100);
    const text = chunk();
    for (const piece of [text.slice(0, 30), text.slice(30, 150), text.slice(150)]) {
      await connection.send(piece);
      await sleep(30);
    }
    expect((await connection.answer()).status).toBe(201);
    await connection.send(Array.from({ length: 30 }, chunk).join(''));
    for (let i = 0; i < 30; i++) expect((await connection.answer()).status).toBe(201);
  });

  test('strangers are answered again and again, ahead, and with bodies that nobody wants', async () => {
    await connectMany(60);
    const connection = await connect();
    const body = 'x'.repeat(300_000);
    for (let i = 0; i < 3; i++) {
      await connection.send(head('GET /healthz'));
      expect((await connection.answer()).status).toBe(200);
      await connection.send(head('GET /healthz').repeat(20));
      for (let n = 0; n < 20; n++) expect((await connection.answer()).status).toBe(200);
      await connection.send(head('POST /nothing', `Content-Length: ${body.length}`) + body);
      expect((await connection.answer()).status).toBe(404);
    }
  });

  test('one that has closed its half is answered', async () => {
    await connectMany(60);
    const connection = await connect();
    await sleep(100);
    connection.socket.end(head('GET /healthz'));
    expect((await connection.answer()).status).toBe(200);
    expect(await connection.ended()).toBe('closed');
  });
});

test('paused connections that their clients have closed are noticed', async () => {
  await expect.poll(countConnections, { timeout: 20_000 }).toBe(0);
  const connections = await connectMany(60);
  for (const { socket } of connections) socket.destroy();
  await expect.poll(countConnections, { timeout: 20_000 }).toBe(0);
});

test('connections that never send a whole head keep nobody out', async () => {
  const connections = await connectMany(60);
  for (const { send } of connections) await send(`GET / HTTP/1.1\r\n${'a:\r\n'.repeat(15_000)}`);
  const known = await connect();
  await known.send(chunk());
  expect((await known.answer()).status).toBe(201);
});

test('300 that come at once with a key are all served', async () => {
  await connectMany(60);
  const connections = await connectMany(300);
  for (const { send } of connections) await send(chunk());
  for (const { answer } of connections) expect((await answer()).status).toBe(201);
});
