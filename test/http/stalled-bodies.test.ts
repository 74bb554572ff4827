import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openConnection, startListeningApp } from './listening-app.ts';

/* Bodies of unknown length that stop arriving keep no small one waiting, whatever they have brought before. */

let server: TestServer;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer();
  dataId = (await server.post('/metrology/stream/initialize', { points_per_chunk: 2 })).json.data_id;
});
afterAll(() => server?.close());

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

const KiB = 1_024;
const limits = { BODY_LIMIT_BYTES: 512 * KiB, BODIES_LIMIT_BYTES: 512 * KiB };
test.each([
  ['nothing', 0],
  ['a little', 1],
  ['most of a small body', 60],
  ['more than a small body', 90],
  ['so much that there is no room for large ones any more', 200],
])('four that have brought %s', async (_what, sentKiB) => {
  const listening = await startListeningApp(server.database, limits);
  open.push(() => void listening.close());
  const fields = `Host: x\r\nX-API-KEY: ${server.keys.ada}\r\nContent-Type: application/json\r\n`;
  for (let i = 0; i < 4; i++) {
    const { socket, send } = await openConnection(listening.port);
    open.push(() => socket.destroy());
    await send(`POST /metrology/stream/chunk HTTP/1.1\r\n${fields}Transfer-Encoding: chunked\r\n\r\n`);
    if (sentKiB > 0) await send(`${(sentKiB * KiB).toString(16)}\r\n${' '.repeat(sentKiB * KiB)}\r\n`);
  }
  // They have arrived, or wait for room.
  const metric = (text: string, name: string) =>
    Number(new RegExp(`^metrology_http_${name} (\\d+)$`, 'm').exec(text)?.[1]);
  const arrived = async () => {
    const { payload } = await listening.app.inject('/metrics');
    return metric(payload, 'bodies_bytes') > 0 || metric(payload, 'bodies_waiting') > 0;
  };
  await expect.poll(arrived).toBe(sentKiB > 0);

  const body = JSON.stringify({ data_id: dataId, chunk_index: 0, channel_name: 'p', timestamps: [1], values: [1] });
  for (const framing of ['length', 'chunked']) {
    const small = await openConnection(listening.port);
    open.push(() => small.socket.destroy());
    const length = framing === 'length' ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked';
    const framed = framing === 'length' ? body : `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    const begun = performance.now();
    await small.send(`POST /metrology/stream/chunk HTTP/1.1\r\n${fields}${length}\r\n\r\n${framed}`);
    expect((await small.answer()).status).toBe(201);
    // None of the four is given up before 20 s.
    expect(performance.now() - begun).toBeLessThan(8_000);
  }
});
