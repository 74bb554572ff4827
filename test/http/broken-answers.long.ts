import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { followConnections } from '../../src/process/open-connections.ts';
import { startTestServer, type TestLimits, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream } from '../timeseries/support/storing.ts';
import { type ListeningApp, startListeningApp } from './support/listening-app.ts';

/*
 * HTTP/1.0 has no chunks: there the end of the connection is the end of an answer that is streamed. One that breaks off must not
 * look whole.
 */

// Megabytes go through three processes.
vi.setConfig({ testTimeout: 60_000 });

let server: TestServer;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer();
  dataId = await filledStream();
}, 60_000);
afterAll(() => server?.close());

const chunks = 160;

/** Long enough that the buffers between server and client do not take all of it: about 10 MB as CSV. */
async function filledStream(): Promise<string> {
  const id = await openStream(server, 1_000);
  await fillChannel(server, id, 'v', { chunks, points: 1_000 });
  return id;
}

/** Lets the reading of a stream fail before its end. */
const breakOff = (id: string) =>
  server.owner.pool.query('delete from chunks where data_id = $1::uuid and chunk_index > 150', [id]);

async function listen(http: NonNullable<TestLimits['http']> = {}): Promise<ListeningApp> {
  const listening = await startListeningApp(server.database, {}, { http });
  onTestFinished(() => listening.close());
  return listening;
}

interface Read {
  /** Reads to the end. Answers that begun, lines of the last one, and how the connection ended. */
  rest(): Promise<{ statuses: number; lines: number; how: 'in order' | 'reset' }>;
}

const ask = (version: string, path: string, more = '') =>
  `GET ${path} HTTP/${version}\r\nHost: x\r\n${more}X-API-KEY: ${server.keys.ada}\r\n\r\n`;

/** Sends a request, and reads no further than the beginning of the answer. */
async function begin(port: number, request: string): Promise<Read> {
  const child = spawn('python3', ['test/http/support/read_slowly.py'], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill());
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  const ended = once(child, 'close');
  child.stdin.write(`${JSON.stringify([port, request])}\n`);
  await expect.poll(() => said).toBe('begun\n');
  return {
    async rest() {
      child.stdin.write('\n');
      await ended;
      return JSON.parse(said.slice('begun\n'.length));
    },
  };
}

const whole = chunks * 1_000 + 1;

describe('an answer of HTTP/1.0 that breaks off ends with an error for its client', () => {
  test('when the reading fails', async () => {
    const { port } = await listen();
    const own = await filledStream();
    const read = await begin(port, ask('1.0', `/exports/${own}`));
    await breakOff(own);
    const { lines, how } = await read.rest();
    expect(how).toBe('reset');
    expect(lines).toBeLessThan(whole);
  });

  test('when it is cut off for the sake of others', async () => {
    const { port } = await listen({ readsMax: 2, stalledReadMsMax: 100 });
    const read = await begin(port, ask('1.0', `/exports/${dataId}`));
    await sleep(300);
    const headers = { 'x-api-key': server.keys.ada };
    expect((await fetch(`http://127.0.0.1:${port}/tags/`, { headers })).status).toBe(200);
    expect(await read.rest()).toMatchObject({ statuses: 1, how: 'reset' });
  });

  test('when the server ends', async () => {
    const listening = await startListeningApp(server.database);
    const connections = followConnections(listening.app.server);
    const read = await begin(listening.port, ask('1.0', `/exports/${dataId}`));
    connections.closeAll();
    await listening.close();
    expect(await read.rest()).toMatchObject({ statuses: 1, how: 'reset' });
  });
});

test.each(['1.0', '1.1'])(
  'one of HTTP/%s that comes whole ends in order, however slowly it is read',
  async (version) => {
    const { port } = await listen();
    const read = await begin(
      port,
      ask(version, `/exports/${dataId}`, version === '1.1' ? 'Connection: close\r\n' : ''),
    );
    await sleep(500);
    const { lines, how } = await read.rest();
    expect(how).toBe('in order');
    if (version === '1.0') expect(lines).toBe(whole);
  },
);

test('of answers that follow each other on a kept connection of HTTP/1.0, each is looked at', async () => {
  const { port } = await listen();
  const own = await filledStream();
  // The second request is there before the first is answered.
  const both = ask('1.0', '/healthz', 'Connection: keep-alive\r\n') + ask('1.0', `/exports/${own}`);
  const read = await begin(port, both);
  await breakOff(own);
  expect(await read.rest()).toMatchObject({ statuses: 2, how: 'reset' });
});
