import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parquetMetadata } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream } from '../timeseries/storing.ts';

let server: TestServer;
let address: string;
let dataId: string;
const points = 800_000;

beforeAll(async () => {
  server = await startTestServer();
  address = await server.app.listen({ host: '127.0.0.1', port: 0 });
  dataId = await filledStream(points / 2_000);
});
afterAll(() => server.close());

/** Two channels of chunks of 1,000 points. */
async function filledStream(chunks: number): Promise<string> {
  const id = await openStream(server, 1_000);
  await fillChannel(server, id, 'u', { chunks, points: 1_000 });
  await fillChannel(server, id, 'v', { chunks, points: 1_000, stepSeconds: 0.02 });
  return id;
}

const files = ['csv', 'parquet'].flatMap((format) => ['long', 'wide'].map((layout) => [format, layout] as const));
const pathOf = (id: string, format: string, layout: string) => `/exports/${id}?format=${format}&layout=${layout}`;

async function begin(path: string): Promise<http.IncomingMessage> {
  const request = http.get(`${address}${path}`, { headers: { 'x-api-key': server.keys.ada }, agent: false });
  const [answer] = (await once(request, 'response')) as [http.IncomingMessage];
  return answer;
}

async function readOn(answer: http.IncomingMessage): Promise<{ body: Buffer; ended: boolean }> {
  const pieces: Buffer[] = [];
  answer.on('data', (piece: Buffer) => pieces.push(piece));
  answer.on('error', () => {});
  await new Promise((resolve) => answer.on('close', resolve));
  return { body: Buffer.concat(pieces), ended: answer.complete };
}

/** Waits until nothing has been read for a while, and tells how many connections are in use then. */
async function connectionsWhileWaiting(): Promise<number> {
  const { pool } = server.database;
  for (let rounds = 0; rounds < 50; rounds++) {
    const acquired = await acquiredWhile(() => sleep(150));
    if (acquired === 0) return pool.totalCount - pool.idleCount;
  }
  throw new Error('the server goes on reading for a client that does not');
}

async function acquiredWhile(work: () => Promise<unknown>): Promise<number> {
  let acquired = 0;
  const count = () => {
    acquired++;
  };
  server.database.pool.on('acquire', count);
  await work();
  server.database.pool.off('acquire', count);
  return acquired;
}

describe.each(files)('%s, %s', (format, layout) => {
  test('holds no connection for a client that does not read, and still gives it everything', async () => {
    const answer = await begin(pathOf(dataId, format, layout));
    expect(await connectionsWhileWaiting()).toBe(0);
    const { body, ended } = await readOn(answer);
    expect(ended).toBe(true);
    // Both channels share every second time of the first one, and the other one goes on twice as long.
    const rows = layout === 'long' ? points : points * 0.75;
    expect(rowsOf(format, body)).toBe(rows);
  });

  test('ends the reading when the client goes away', async () => {
    const answer = await begin(pathOf(dataId, format, layout));
    answer.on('error', () => {});
    await connectionsWhileWaiting();
    const acquired = await acquiredWhile(async () => {
      answer.destroy();
      await sleep(300);
    });
    expect(acquired).toBeLessThanOrEqual(2);
  });

  test('is cut off by an error after the first byte', async () => {
    const own = await filledStream(250);
    const answer = await begin(pathOf(own, format, layout));
    expect(answer.statusCode).toBe(200);
    await connectionsWhileWaiting();
    await server.database.pool.query(
      'delete from chunks where data_id = $1::uuid and chunk_index between 230 and 240',
      [own],
    );
    expect((await readOn(answer)).ended).toBe(false);
  });
});

function rowsOf(format: string, body: Buffer): number {
  if (format === 'csv') return body.filter((byte) => byte === 0x0a).length - 1;
  const { num_rows } = parquetMetadata(
    body.buffer.slice(body.byteOffset, body.byteOffset + body.length) as ArrayBuffer,
  );
  return Number(num_rows);
}

test('an error before the first byte is an answer like any other', async () => {
  const own = await filledStream(1);
  const { pool } = server.database;
  await pool.query('alter table chunks rename column timestamps to hidden');
  try {
    const answer = await server.get(`/exports/${own}`);
    expect(answer.status).toBe(500);
    expect(answer.headers['content-type']).toContain('application/json');
    expect(answer.headers['content-disposition']).toBeUndefined();
  } finally {
    await pool.query('alter table chunks rename column hidden to timestamps');
  }
});
