import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sendAsSdk, triesOnce, triesThrice } from './support/as-sdk.ts';
import type { ChunkRequest } from './support/chunks.ts';
import { createClient } from './support/client.ts';
import { createHistory } from './support/history.ts';

/* The writers of the fault tests try as `retry.rs` of atomscale 0.21.10 does, here against answers that are given in turn. */

type Reply = number | 'cut' | 's3';
let replies: Reply[] = [];
let times: number[] = [];
const server = createServer((request, response) => {
  times.push(performance.now());
  const reply = replies.shift() ?? 201;
  if (reply === 'cut') return void request.socket.destroy();
  response.statusCode = reply === 's3' ? 400 : reply;
  response.end(reply === 's3' ? '<Code>RequestTimeout</Code>' : '{"channel_name":"p","total_points":1}');
});
beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
afterAll(() => void server.close());

const request: ChunkRequest = { dataId: 'd', index: 0, channels: [['p', 0]], prefix: '/tool-state/stream' };

async function send(answers: Reply[], generation = triesThrice) {
  [replies, times] = [[...answers], []];
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = createClient({ endpoint: () => endpoint, key: 'k', keepAlive: false });
  const { isGivenUp, tries } = await sendAsSdk(client, createHistory(), 'writer', request, generation);
  client.close();
  return { isGivenUp, tries };
}

test.each<[string, Reply[]]>([
  ['no answer', ['cut', 'cut']],
  ['5xx', [500, 503]],
  ['429 and 408', [429, 408]],
  ['the 400 of S3', ['s3', 's3']],
])('%s is tried again, 0.5 s and 1 s later', async (_, answers) => {
  expect(await send(answers)).toEqual({ isGivenUp: false, tries: 3 });
  const [first = 0, second = 0, third = 0] = times;
  expect(second - first).toBeGreaterThanOrEqual(499);
  expect(third - second).toBeGreaterThanOrEqual(999);
});

test('after the third try a chunk is given up', async () => {
  expect(await send([503, 'cut', 503])).toEqual({ isGivenUp: true, tries: 3 });
});

test.each([400, 401, 403, 404, 409, 413, 422])('%i is final', async (status) => {
  expect(await send([status])).toEqual({ isGivenUp: true, tries: 1 });
});

test('an older release tries once', async () => {
  expect(await send([503], triesOnce)).toEqual({ isGivenUp: true, tries: 1 });
  expect(await send([201], triesOnce)).toEqual({ isGivenUp: false, tries: 1 });
});
