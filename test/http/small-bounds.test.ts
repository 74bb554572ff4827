import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RoomLimits } from '../../src/app.ts';
import { databaseLimits } from '../../src/database/limits.ts';
import { streamLimits } from '../../src/streams/limits.ts';
import { openStream } from '../ledger/support/storing.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

/* Bounds of what one request may name: given small, each refuses one more, and says how many there may be. */

const limits = {
  streams: { channelsPerRequestMax: 2, loopBodyBytesMax: 2_000 },
  ledger: { namedChannelsMax: 2 },
  catalogue: { linkedIdsMax: 2, searchIdsMax: 2, searchKeywordsMax: 2, searchWordsMax: 2, jsonDepthMax: 2 },
} satisfies { [Room in keyof RoomLimits]?: Partial<RoomLimits[Room]> };

let server: TestServer;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer({}, limits);
  dataId = await openStream(server, 1);
});
afterAll(() => server?.close());

const list = (count: number, of: () => unknown) => Array.from({ length: count }, of);
const query = (name: string, count: number, of: () => unknown) => list(count, () => `${name}=${of()}`).join('&');
const channels = (count: number, points = 1) =>
  Object.fromEntries(
    list(count, () => 0).map((_, i) => [`c${i}`, { timestamps: list(points, () => 1), values: list(points, () => 1) }]),
  );
const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });

type Ask = (count: number) => [method: string, url: string, body?: unknown];
const asks: [string, Ask][] = [
  [
    'channels of a chunk',
    (count) => [
      'POST',
      '/metrology/stream/chunk/multi',
      { data_id: dataId, chunk_index: 0, channels: channels(count) },
    ],
  ],
  [
    'channels of a chunk that is read in a thread',
    (count) => [
      'POST',
      '/metrology/stream/chunk/multi',
      { data_id: dataId, chunk_index: 1, channels: channels(count, 400) },
    ],
  ],
  [
    'channels of a ledger',
    (count) => ['GET', `/metrology/stream/${dataId}/chunks?${query('channel_name', count, () => 'v')}`],
  ],
  [
    'channels of revisions',
    (count) => ['GET', `/metrology/stream/${dataId}/chunks/revisions?${query('channel_name', count, () => 'v')}`],
  ],
  ['ids of a search', (count) => ['GET', `/data_entries/?${query('data_ids', count, randomUUID)}`]],
  [
    'words of a search',
    (count) => [
      'GET',
      `/data_entries/?keywords=${list(count, () => 0)
        .map((_, i) => `w${i}`)
        .join('+')}`,
    ],
  ],
  ['keywords of a search', (count) => ['GET', `/data_entries/?${query('keywords', count, () => 'x')}`]],
  ['keywords of an export', (count) => ['GET', `/exports/metadata/?${query('keywords', count, () => 'x')}`]],
  ['entries to delete', (count) => ['DELETE', `/data_entries/?${query('data_ids', count, randomUUID)}`]],
  ['entries to restore', (count) => ['POST', '/data_entries/restore', { data_ids: list(count, randomUUID) }]],
  [
    'entries to link to a sample',
    (count) => [
      'POST',
      '/data_entries/physical_sample',
      { data_ids: list(count, randomUUID), physical_sample_id: randomUUID() },
    ],
  ],
  [
    'entries to tag',
    (count) => ['POST', '/tags/data-items/', { data_ids: list(count, randomUUID), tag_ids: [randomUUID()] }],
  ],
  [
    'tags to put on',
    (count) => ['POST', '/tags/data-items/', { data_ids: [randomUUID()], tag_ids: list(count, randomUUID) }],
  ],
  [
    'instruments to delete',
    (count) => ['DELETE', `/instruments/synthesis/?${query('synthesis_instrument_ids', count, () => 9)}`],
  ],
  [
    'levels of a document',
    (count) => ['POST', '/physical_samples/', { name: randomUUID(), physical_sample_metadata: nested(count) }],
  ],
];

describe('one more than the bound says is refused with the bound, as many as it says are not:', () => {
  test.each(asks)('%s', async (_, ask) => {
    const refused = await server.send(...ask(3));
    expect([refused.status, refused.json.detail[0].msg]).toEqual([422, expect.stringMatching(/\b2\b/)]);
    expect((await server.send(...ask(2))).status).not.toBe(422);
  });
});

test('ingest has a connection for each flush, for the reading after it, and for each call', () => {
  const { flushesMax, callsMax } = streamLimits;
  expect(databaseLimits.ingestConnectionsMax).toBe(2 * flushesMax + callsMax);
});
