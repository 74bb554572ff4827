import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createKey } from '../../src/auth/keys.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { type ListeningApp, openConnection, startListeningApp } from './support/listening-app.ts';

/* Bodies that stop arriving, or drip, keep no small one waiting, whatever they have brought before and however small the room. */

let server: TestServer;
let dataId: string;
/** Of four other organizations. */
let otherKeys: string[];
beforeAll(async () => {
  server = await startTestServer();
  otherKeys = await Promise.all(['a', 'b', 'c', 'd'].map((name) => createKey(server.database, name, name)));
  dataId = (await server.post('/metrology/stream/initialize', { points_per_chunk: 2 })).json.data_id;
});
afterAll(() => server?.close());

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

const KiB = 1_024;
const rooms: [string, number][] = [
  ['a room of 512 KiB', 512 * KiB],
  ['a room of one small body', 64 * KiB],
  ['the smallest room', KiB],
];
const brought: [string, number][] = [
  ['nothing', 0],
  ['a little', KiB],
  ['most of a small body', 60 * KiB],
  ['more than a small body', 90 * KiB],
  ['so much that there is no room for large ones any more', 200 * KiB],
];
const headOf = (length: string, key = server.keys.ada) =>
  `POST /metrology/stream/chunk HTTP/1.1\r\nHost: x\r\nX-API-KEY: ${key}\r\nContent-Type: application/json\r\n${length}\r\n\r\n`;
const chunked = 'Transfer-Encoding: chunked';
const pieceOf = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

async function connectionTo({ port }: ListeningApp) {
  const connection = await openConnection(port);
  open.push(() => connection.socket.destroy());
  return connection;
}

async function startSmall(roomBytes: number): Promise<ListeningApp> {
  const config = { BODY_LIMIT_BYTES: 512 * KiB, BODIES_LIMIT_BYTES: roomBytes };
  const listening = await startListeningApp(server.database, config);
  open.push(() => void listening.close());
  return listening;
}

/** Waits until so many bodies wait for room, or what has arrived is counted. */
async function untilTheyHaveArrived({ app }: ListeningApp): Promise<void> {
  await expect
    .poll(async () => {
      const { payload } = await app.inject('/metrics');
      return [...payload.matchAll(/^metrology_http_bodies_(?:bytes|waiting) (\d+)$/gm)].some(([, n]) => Number(n) > 0);
    })
    .toBe(true);
}

/** Bodies of 150 bytes by every framing: in one packet with their head, and after it. */
async function smallOnesAreAnswered(listening: ListeningApp): Promise<void> {
  const body = JSON.stringify({ data_id: dataId, chunk_index: 0, channel_name: 'p', timestamps: [1], values: [1] });
  const whole = `Content-Length: ${body.length}`;
  const packets: [string, ...string[]][] = [
    [headOf(whole) + body],
    [headOf(whole), body],
    [`${headOf(chunked)}${pieceOf(body)}0\r\n\r\n`],
    [headOf(chunked), ...[...body].map(pieceOf), '0\r\n\r\n'],
  ];
  for (const pieces of packets) {
    const small = await connectionTo(listening);
    small.socket.setNoDelay();
    const begun = performance.now();
    for (const piece of pieces) await small.send(piece);
    expect((await small.answer()).status).toBe(201);
    // None of the others is given up before 20 s.
    expect(performance.now() - begun, pieces[0]).toBeLessThan(8_000);
  }
}

describe.each(rooms)('in %s', (_room, roomBytes) => {
  describe.each([
    ['of unknown length', chunked, brought],
    ['of a length that is said', `Content-Length: ${250 * KiB}`, brought.slice(-1)],
  ])('%s', (_length, length, parts) => {
    test.each(parts)('four that have brought %s and stop', async (_what, bytes) => {
      const listening = await startSmall(roomBytes);
      for (let i = 0; i < 4; i++) {
        const { send } = await connectionTo(listening);
        const text = ' '.repeat(bytes);
        await send(headOf(length) + (bytes === 0 ? '' : length === chunked ? pieceOf(text) : text));
      }
      if (bytes > 0) await untilTheyHaveArrived(listening);
      await smallOnesAreAnswered(listening);
    });
  });

  test('twenty that drip, and go on dripping', async () => {
    const listening = await startSmall(roomBytes);
    for (let i = 0; i < 20; i++) {
      const { send } = await connectionTo(listening);
      await send(headOf(chunked) + pieceOf(' '.repeat(KiB)));
      const drip = setInterval(() => void send(pieceOf(' ')).catch(() => {}), 20);
      open.push(() => clearInterval(drip));
    }
    await untilTheyHaveArrived(listening);
    await smallOnesAreAnswered(listening);
  });

  test('those of four organizations, which have all that may go on beyond the room: a fifth one’s small bodies', async () => {
    const listening = await startSmall(roomBytes);
    for (const key of otherKeys) {
      const { send } = await connectionTo(listening);
      await send(headOf(chunked, key) + pieceOf(' '.repeat(60 * KiB)));
    }
    await untilTheyHaveArrived(listening);
    await smallOnesAreAnswered(listening);
  });
});
