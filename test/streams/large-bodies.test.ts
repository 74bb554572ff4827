import { monitorEventLoopDelay } from 'node:perf_hooks';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { httpLimits } from '../../src/http/limits.ts';
import { createChunkReader } from '../../src/streams/chunk-reader.ts';
import { streamLimits } from '../../src/streams/limits.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

/* Large bodies are read in a thread, by the same function; both give the same answers. */

const bodyLimitBytes = 32 * 1024 * 1024;
const readerWith = (loopBodyBytesMax: number) =>
  createChunkReader({ json: httpLimits, limits: { ...streamLimits, loopBodyBytesMax }, packs: () => true });
const inLoop = readerWith(1e9);
const inThread = readerWith(0);
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ BODY_LIMIT_BYTES: bodyLimitBytes });
});
afterAll(async () => {
  await Promise.all([inLoop.close(), inThread.close(), server?.close()]);
});

const id = 'd290f1ee-6c54-4b01-90e6-d701748f0851';
const channel = (over: object = {}) => ({
  timestamps: [1, 2.5, null],
  values: [-0.1, null, 5e-324],
  units: 'nm',
  ...over,
});
const single = (over: object = {}) =>
  JSON.stringify({ data_id: id, chunk_index: 3, channel_name: 'p', ...channel(), ...over });
const multi = (channels: unknown) => JSON.stringify({ data_id: id, chunk_index: 0, channels });

const outcome = async (reader: typeof inLoop, form: 'single' | 'multi', text: string | Buffer) => {
  try {
    return await reader.read(form, Buffer.from(text as string), 'o');
  } catch (error) {
    const { status, detail } = error as { status: number; detail: unknown };
    if (status === undefined) throw error;
    return { status, detail };
  }
};

test.each<[string, 'single' | 'multi', string | Buffer]>([
  ['a chunk', 'single', single()],
  ['one without a unit, and impossible times', 'single', single({ units: null, timestamps: [1e300, null, -1e300] })],
  [
    'several channels',
    'multi',
    multi({ a: channel(), __proto__x: channel({ units: '' }), 'ä\ud83d\ude00': channel() }),
  ],
  ['no JSON', 'single', '{"data_id":'],
  ['no UTF-8', 'single', Buffer.from([0x22, 0xff, 0x22])],
  ['a name twice', 'single', `${single().slice(0, -1)},"values":[1]}`],
  ['a field that is missing', 'single', '{}'],
  ['a wrong value, which is echoed', 'single', single({ values: [1, 'x'.repeat(200), 3] })],
  ['lengths that differ', 'single', single({ values: [1] })],
  ['no points', 'single', single({ values: [], timestamps: [] })],
  ['a channel whose lengths differ', 'multi', multi({ a: channel(), b: channel({ values: [1] }) })],
  ['a name that is not allowed', 'multi', multi({ 'a\u0000b': channel() })],
  ['null', 'single', 'null'],
  ['a list', 'multi', '[]'],
  ['too many objects', 'single', single({ more: Array.from({ length: 40_001 }, () => ({})) })],
])('%s: the same on the event loop and in the thread', async (_what, form, text) => {
  const there = await outcome(inThread, form, text);
  expect(there).toEqual(await outcome(inLoop, form, text));
});

test('10,000 channels pass through the thread as they are', async () => {
  const channels = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, i) => [`c${i}`, channel({ values: [i, null, 1] })]),
  );
  const there = await inThread.read('multi', Buffer.from(multi(channels)), 'o');
  const here = await inLoop.read('multi', Buffer.from(multi(channels)), 'o');
  const shown = (arrivals: typeof here.arrivals) =>
    arrivals.map(({ channelName, image }) => `${channelName} ${image.contentHash.toString('hex')}`);
  expect(shown(there.arrivals)).toEqual(shown(here.arrivals));
  for (const i of [0, 5_000, 9_999]) expect(there.arrivals[i]).toEqual(here.arrivals[i]);
});

describe('what is no chunk is refused before it is built', () => {
  const fill = (piece: string, bytes: number) => piece.repeat(Math.floor(bytes / piece.length)).replace(/,$/, '');
  const bytes = 8 * 1024 * 1024;
  const bodies: [string, string, RegExp | undefined][] = [
    ['objects', `{"x":[${fill('{},', bytes)}]}`, /bodyContainersMax/],
    ['lists in lists', `{"x":${'['.repeat(bytes / 2)}${']'.repeat(bytes / 2)}}`, /bodyContainersMax/],
    ['strings', `{"x":[${fill('"",', bytes)}]}`, /bodyStringsMax/],
    ['names', `{${Array.from({ length: 500_000 }, (_, i) => `"${i}":0`).join(',')}}`, /bodyStringsMax/],
    ['names that are one', `{${fill('"a":0,', bytes)}}`, /bodyStringsMax/],
    ['null', `{"x":[${fill('null,', bytes)}]}`, undefined],
    ['numbers', `{"x":[${fill('0,', bytes)}]}`, undefined],
  ];

  test.each(bodies)(
    '8 MB of %s, plain and as gzip: refused, and nothing else waits for it',
    async (_what, body, sentence) => {
      const delay = monitorEventLoopDelay({ resolution: 5 });
      for (const encoded of [Buffer.from(body), gzipSync(body, { level: 1 })]) {
        delay.enable();
        const headers = {
          'x-api-key': server.keys.ada,
          'content-type': 'application/json',
          ...(encoded.length < body.length && { 'content-encoding': 'gzip' }),
        };
        const answer = await server.app.inject({
          method: 'POST',
          url: '/metrology/stream/chunk',
          headers,
          payload: encoded,
        });
        delay.disable();
        if (sentence === undefined) expect(answer.statusCode).toBe(422);
        else expect([answer.statusCode, answer.json().detail]).toEqual([413, expect.stringMatching(sentence)]);
      }
      // 33 MB of objects, built on the event loop, took 4 s of a machine that did nothing else.
      expect(delay.max / 1e6).toBeLessThan(3_000);
    },
    60_000,
  );

  test('other routes take otherBodyBytesMax, and 10,000 ids to link fit', async () => {
    const ids = Array.from({ length: 10_000 }, () => crypto.randomUUID());
    const link = await server.post('/data_entries/physical_sample', { data_ids: ids, physical_sample_id: id });
    expect(link.status).toBe(404);
    const large = await server.post('/projects/', { name: 'p', note: 'x'.repeat(1_100_000) });
    expect([large.status, large.json.detail]).toEqual([
      413,
      expect.stringMatching(/1048576 bytes \(otherBodyBytesMax/),
    ]);
    const objects = await server.post('/projects/', `{"name":"p","x":[${fill('{},', 1_000_000)}]}`);
    expect([objects.status, objects.json.detail]).toEqual([413, expect.stringContaining('bodyContainersMax')]);
  });
});
