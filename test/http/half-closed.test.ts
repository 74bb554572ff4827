import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { type ListeningApp, openConnection, startListeningApp } from './support/listening-app.ts';

/* Clients that speak the least HTTP: they close their half when all is sent, or know no Host. */

let server: TestServer;
let listening: ListeningApp;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer();
  listening = await startListeningApp(server.database, {}, { http: { requestsPerConnectionMax: 2 } });
  dataId = (await server.post('/metrology/stream/initialize', { points_per_chunk: 2 })).json.data_id;
});
afterAll(async () => {
  await listening?.close();
  await server?.close();
});

const head = (line: string, more = '') => `${line}\r\nHost: x\r\nX-API-KEY: ${server.keys.ada}\r\n${more}\r\n`;
function chunk(index: number): string {
  const body = JSON.stringify({ data_id: dataId, chunk_index: index, channel_name: 'p', timestamps: [1], values: [1] });
  const fields = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
  return `${head('POST /metrology/stream/chunk HTTP/1.1', fields)}${body}`;
}

/** Sends, closes its half at once, and reads to the end, as `nc -N` does. */
function everythingAfter(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect({ port: listening.port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end(text));
    socket.setEncoding('latin1');
    socket.on('data', (data) => {
      received += data;
    });
    socket.on('end', () => resolve(received));
    socket.on('error', reject);
  });
}

describe('who closes its half of the connection when all is sent is answered, and then the connection is closed', () => {
  test('a chunk', async () => {
    expect(await everythingAfter(chunk(0))).toMatch(/^HTTP\/1\.1 201 [\s\S]*"total_points":1\}$/);
  });

  test('more chunks on one connection than are served at a time, in order', async () => {
    const answers = await everythingAfter([1, 2, 3, 4, 5].map(chunk).join(''));
    expect([...answers.matchAll(/"chunk_index":(\d)/g)].map(([, index]) => index)).toEqual(['1', '2', '3', '4', '5']);
    expect(answers.match(/HTTP\/1\.1 201 /g)).toHaveLength(5);
  });

  test('a read and a list, which are streamed', async () => {
    for (const path of [`/metrology/${dataId}/timeseries/`, '/data_entries/', `/exports/${dataId}/`]) {
      expect(await everythingAfter(head(`GET ${path} HTTP/1.1`)), path).toMatch(/^HTTP\/1\.1 200 /);
    }
  });

  test('a refusal, by a stranger too', async () => {
    expect(await everythingAfter('GET /data_entries/ HTTP/1.1\r\nHost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 401 /);
    expect(await everythingAfter(head('GET /nothing HTTP/1.1'))).toMatch(/^HTTP\/1\.1 404 /);
  });

  test('but for a body that is cut there: nothing of it is stored', async () => {
    const whole = chunk(9);
    expect(await everythingAfter(whole.slice(0, -5))).toBe('');
    const { json } = await server.get(`/metrology/stream/${dataId}/chunks`);
    expect(JSON.stringify(json.channels[0].present)).not.toContain('9');
  });

  test('who has sent nothing, or waits for nothing, is let go', async () => {
    expect(await everythingAfter('')).toBe('');
    const connection = await openConnection(listening.port);
    await connection.send(chunk(0));
    await connection.answer();
    connection.socket.end();
    expect(await connection.ended()).toBe('closed');
  });
});

describe('HTTP/1.0 without Host', () => {
  const get = (path: string) => everythingAfter(`GET ${path} HTTP/1.0\r\nX-API-KEY: ${server.keys.ada}\r\n\r\n`);

  test('an export comes whole, with a relative link to what describes it', async () => {
    const answer = await get(`/exports/${dataId}?layout=wide`);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toContain(`link: </exports/${dataId}/metadata?layout=wide>; rel="describedby"`);
    expect(answer).not.toMatch(/^transfer-encoding/im);
    expect(answer.split('\r\n\r\n')[1]?.split('\n')[1]).toMatch(/^1970-01-01T00:00:01/);
  });

  test('every other read is answered', async () => {
    for (const path of [`/metrology/${dataId}/timeseries/`, '/data_entries/', '/tags/', '/healthz', '/docs']) {
      expect(await get(path), path).toMatch(/^HTTP\/1\.1 200 /);
    }
  });

  test('where the answer is an address, a host must be named', async () => {
    const answer = await get(`/data_entries/raw_data/${dataId}?return_as=url-download`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 [\s\S]*The header Host must name the server/);
  });
});
