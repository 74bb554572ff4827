import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { contentHash, openStream, type Readings, readingsFrom, storeChunk } from './support/storing.ts';

let server: TestServer;
beforeAll(async () => {
  // Times are small numbers here.
  server = await startTestServer({}, { http: { plausibleSecondsMin: 0 } });
});
afterAll(() => server?.close());

async function certificateOf(dataId: string) {
  const answer = await server.get(`/tool-state/stream/${dataId}/certificate`);
  expect(answer.status, answer.text).toBe(200);
  return answer.json;
}

/** Channels to their chunks by index. */
type Stored = Record<string, Record<number, Readings>>;

const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest();

/** The root as docs/reading.md defines it, from what was sent. */
function rootOf(stored: Stored): { root: string; channels: Record<string, string> } {
  const names = Object.keys(stored).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const digests = names.map((name) => {
    const chunks = Object.entries(stored[name] as Record<number, Readings>).sort(([a], [b]) => Number(a) - Number(b));
    return sha256(...chunks.flatMap(([index, readings]) => [int64(BigInt(index)), contentHash(readings)]));
  });
  const parts = names.flatMap((name, i) => [uint32(Buffer.byteLength(name)), Buffer.from(name), digests[i] as Buffer]);
  const channels = Object.fromEntries(names.map((name, i) => [name, (digests[i] as Buffer).toString('hex')]));
  return { root: sha256(...parts).toString('hex'), channels };
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

async function store(dataId: string, stored: Stored): Promise<void> {
  for (const [channel, chunks] of Object.entries(stored)) {
    // Out of order, as chunks may come.
    for (const [index, readings] of Object.entries(chunks).reverse()) {
      await storeChunk(server, dataId, channel, Number(index), readings);
    }
  }
}

describe('the root hash', () => {
  /** By UTF-16 the last two would change places. */
  const names = ['Z', 'a', 'ab', 'µ-rate', '\uffe6', '𝜈'];
  const odd: Stored = Object.fromEntries(
    names.map((name, i) => [name, { [i]: { ...readingsFrom(i, 2), units: 'Å' }, 9: readingsFrom(10, 2) }]),
  );
  odd.a = {
    0: { timestamps: [0.1, null, 3], values: [-0, null, 5e-324] },
    1: { timestamps: [1e300, 4], values: [0, 1.7976931348623157e308], units: 'nm' },
    9000000000: { timestamps: [null], values: [null], units: '\u0001' },
  };

  test('is over indexes, contents and names, however chunks came', async () => {
    const dataId = await openStream(server, 2);
    await store(dataId, odd);
    const certificate = await certificateOf(dataId);
    const expected = rootOf(odd);
    expect(certificate.channels.map((one: { channel_name: string }) => one.channel_name)).toEqual(names);
    for (const { channel_name, channel_hash } of certificate.channels) {
      expect(channel_hash, channel_name).toBe(expected.channels[channel_name]);
    }
    expect(certificate.root_hash).toBe(expected.root);
  });

  test('changes with every content and every address, and comes back with it', async () => {
    const dataId = await openStream(server, 2);
    const stored: Stored = { v: { 0: readingsFrom(0, 2), 1: readingsFrom(2, 2) } };
    await store(dataId, stored);
    const seen = [(await certificateOf(dataId)).root_hash];
    const changes: [string, number, Readings][] = [
      ['v', 1, { ...readingsFrom(2, 2), units: 'nm' }],
      ['v', 2, readingsFrom(2, 2)],
      ['w', 0, readingsFrom(0, 2)],
      ['v', 0, { timestamps: [0, 1], values: [-0, 1] }],
    ];
    for (const [channel, index, readings] of changes) {
      await storeChunk(server, dataId, channel, index, readings);
      seen.push((await certificateOf(dataId)).root_hash);
    }
    expect(new Set(seen).size).toBe(seen.length);
    await storeChunk(server, dataId, 'v', 0, readingsFrom(0, 2));
    expect((await certificateOf(dataId)).root_hash).toBe(seen.at(-2));
  });

  test('of nothing is that of no bytes', async () => {
    const certificate = await certificateOf(await openStream(server, 2));
    expect(certificate).toMatchObject({ channels: [], channel_count: 0, chunk_count: 0, point_count: 0 });
    expect(certificate.root_hash).toBe(sha256().toString('hex'));
  });
});

test('says what a stream holds and lacks', async () => {
  const dataId = await openStream(server, 2);
  await store(dataId, {
    good: { 0: { ...readingsFrom(0, 2), units: 'nm' }, 1: { ...readingsFrom(2, 2), units: 'nm' } },
    // The third chunk begins where the first one, which is the one before it, has not yet ended.
    late: { 3: readingsFrom(100, 3), 5: { timestamps: [101, 103], values: [null, 1], units: 'K' } },
    odd: {
      0: { timestamps: [null, 5], values: [1, null], units: 'K' },
      1: { timestamps: [5, 6], values: [1, 1] },
      2: { timestamps: [null], values: [1], units: 'C' },
      3: { timestamps: [6, 7], values: [1, 1] },
    },
  });
  const certificate = await certificateOf(dataId);
  const [good, late, odd] = certificate.channels;
  expect(good).toMatchObject({ chunk_count: 2, missing_count: 0, irregular_count: 0, units: 'nm', units_changes: 0 });
  expect(good).toMatchObject({ point_count: 4, time_min: 0, time_max: 3, ascending: true, late_chunk_count: 0 });
  expect(late).toMatchObject({ missing_count: 4, highest_chunk_index: 5, units: 'K', units_changes: 0 });
  expect(late.missing).toEqual([
    [0, 2],
    [4, 4],
  ]);
  expect(late.irregular).toEqual([
    { chunk_index: 3, last_chunk_index: 3, chunk_count: 1, point_count: 3, irregularities: ['long'] },
    { chunk_index: 5, last_chunk_index: 5, chunk_count: 1, point_count: 2, irregularities: ['overlapping'] },
  ]);
  expect(late).toMatchObject({ null_count: 1, time_min: 100, time_max: 103, ascending: false });
  expect(odd).toMatchObject({ units: 'C', units_changes: 1, time_min: 5, time_max: 7, ascending: false });
  expect(odd.irregular).toEqual([
    { chunk_index: 0, last_chunk_index: 0, chunk_count: 1, point_count: 2, irregularities: ['not_ascending'] },
    { chunk_index: 2, last_chunk_index: 2, chunk_count: 1, point_count: 1, irregularities: ['short', 'not_ascending'] },
  ]);
  const sums = { channel_count: 3, chunk_count: 8, missing_count: 4, irregular_count: 4, point_count: 16 };
  expect(certificate).toMatchObject({ ...sums, null_count: 2, late_chunk_count: 0, finalized_at: null });
});

test('tells what came after finalize', async () => {
  const dataId = await openStream(server, 1);
  await store(dataId, { v: { 0: readingsFrom(0, 1), 1: readingsFrom(1, 1) }, w: { 0: readingsFrom(0, 1) } });
  await server.post(`/tool-state/stream/${dataId}/finalize`);
  expect(await certificateOf(dataId)).toMatchObject({ late_chunk_count: 0, channels: [{ last_late_at: null }, {}] });
  await storeChunk(server, dataId, 'v', 2, readingsFrom(2, 1));
  await storeChunk(server, dataId, 'v', 0, readingsFrom(7, 1));
  await storeChunk(server, dataId, 'v', 1, readingsFrom(1, 1));
  const certificate = await certificateOf(dataId);
  const { finalized_at, channels, certified_at } = certificate;
  expect(certificate.late_chunk_count).toBe(2);
  expect(channels.map((one: { late_chunk_count: number }) => one.late_chunk_count)).toEqual([2, 0]);
  expect(channels[0].last_late_at > finalized_at && channels[0].last_late_at < certified_at).toBe(true);
  expect(channels[1].last_late_at).toBeNull();
});
