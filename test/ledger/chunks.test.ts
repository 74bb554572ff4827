import { PassThrough, Readable } from 'node:stream';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { httpLimits } from '../../src/http/limits.ts';
import { streamPrefixes } from '../../src/http/official-routes.ts';
import { ledgerLimits } from '../../src/ledger/limits.ts';
import { readAccount } from '../../src/ledger/store.ts';
import { pointLimits } from '../../src/points/limits.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { contentHash, fillChannel, openStream, readingsFrom, storeChunk } from './support/storing.ts';

let server: TestServer;
const page = 20;
beforeAll(async () => {
  server = await startTestServer({}, { ledger: { pageChunksMax: page }, http: { plausibleSecondsMin: 0 } });
});
afterAll(() => server?.close());

async function ledgerOf(dataId: string, query = '') {
  const answer = await server.get(`/metrology/stream/${dataId}/chunks${query}`);
  expect(answer.status, answer.text).toBe(200);
  return answer.json;
}

/** The chunks of an entry of `irregular`. */
const run = (first: number, last: number, chunks: number) => ({
  chunk_index: first,
  last_chunk_index: last,
  chunk_count: chunks,
});

describe('the ledger of an active stream', () => {
  let dataId: string;
  const inMinute = (minute: number, points: number) => ({ ...readingsFrom(1_700_000_000 + minute * 60, points) });
  beforeAll(async () => {
    dataId = await openStream(server, 3);
    for (const index of [2, 3, 7, 9]) await storeChunk(server, dataId, 'rate', index, inMinute(index, 3));
    await storeChunk(server, dataId, 'rate', 8, { ...inMinute(8, 5), units: 'nm/s' });
    await storeChunk(server, dataId, 'rate', 9, { timestamps: [1, 2], values: [null, 4] });
    await storeChunk(server, dataId, 'rate', 9, { timestamps: [2, 1], values: [null, 4] });
    await storeChunk(server, dataId, 'a "wide" channel', 0, inMinute(0, 3));
  });

  test('shows present and missing chunks as ranges, and what a channel adds up to', async () => {
    const ledger = await ledgerOf(dataId);
    expect(ledger).toMatchObject({ data_id: dataId, stream_name: 'a run', points_per_chunk: 3, finalized_at: null });
    const [wide, rate] = ledger.channels;
    expect(wide).toMatchObject({ channel_name: 'a "wide" channel', present: [[0, 0]], missing: [], irregular: [] });
    expect(wide).toMatchObject({ units: null, chunk_count: 1, point_count: 3, replaced_count: 0, missing_count: 0 });
    const counts = { chunk_count: 5, highest_chunk_index: 9, missing_count: 5, point_count: 16, null_count: 1 };
    expect(rate).toMatchObject({ channel_name: 'rate', units: 'nm/s', replaced_count: 2, ...counts });
    expect(rate.present).toEqual([
      [2, 3],
      [7, 9],
    ]);
    expect(rate.missing).toEqual([
      [0, 1],
      [4, 6],
    ]);
    expect(rate).not.toHaveProperty('chunks');
  });

  test('names the chunks that are too long, too short or out of order', async () => {
    const { irregular } = (await ledgerOf(dataId)).channels[1];
    expect(irregular).toEqual([
      { ...run(8, 8, 1), point_count: 5, irregularities: ['long'] },
      { ...run(9, 9, 1), point_count: 2, irregularities: ['short', 'not_ascending', 'overlapping'] },
    ]);
  });

  test('tells when chunks came, to the microsecond', async () => {
    const [, rate] = (await ledgerOf(dataId)).channels;
    const { rows } = await server.owner.pool.query(
      `select min(k.stored_at) as first, max(k.changed_at) as last from chunks k join channels c using (data_id, channel_id)
       where k.data_id = $1::uuid and channel_name = 'rate'`,
      [dataId],
    );
    const withAllDigits = (time: string) => time.replace(/\.?(\d*)Z$/, (_, digits) => `.${digits.padEnd(6, '0')}Z`);
    expect(rate.first_stored_at).toBe(withAllDigits(rows[0].first));
    expect(rate.last_changed_at).toBe(withAllDigits(rows[0].last));
    expect(rate.first_stored_at < rate.last_changed_at).toBe(true);
  });

  test('shows content hashes when they are asked for', async () => {
    const [wide, rate] = (await ledgerOf(dataId, '?content_hashes=True')).channels;
    expect(wide.chunks).toEqual([{ chunk_index: 0, content_hash: contentHash(inMinute(0, 3)).toString('hex') }]);
    expect(rate.chunks.map(({ chunk_index }: { chunk_index: number }) => chunk_index)).toEqual([2, 3, 7, 8, 9]);
    const hashes = rate.chunks.map((chunk: { content_hash: string }) => chunk.content_hash);
    expect(hashes[3]).toBe(contentHash({ ...inMinute(8, 5), units: 'nm/s' }).toString('hex'));
    expect(hashes[4]).toBe(contentHash({ timestamps: [2, 1], values: [null, 4] }).toString('hex'));
  });

  test('can be of some channels only; one that holds nothing is left out', async () => {
    const names = async (query: string) =>
      (await ledgerOf(dataId, query)).channels.map((channel: { channel_name: string }) => channel.channel_name);
    expect(await names('?channel_name=rate')).toEqual(['rate']);
    expect(await names('?channel_name=rate&channel_name=pressure&channel_name=a+%22wide%22+channel')).toEqual([
      'a "wide" channel',
      'rate',
    ]);
    expect(await names('?channel_name=pressure')).toEqual([]);
    const refused = await server.get(`/metrology/stream/${dataId}/chunks?channel_name=%00`);
    expect(refused.status).toBe(422);
  });

  test('is the same under every prefix, and unknown where the stream is', async () => {
    const answers = await Promise.all(streamPrefixes.map((prefix) => server.get(`${prefix}/${dataId}/chunks`)));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    const foreign = await server.get(`/metrology/stream/${dataId}/chunks`, server.keys.rival);
    expect([foreign.status, foreign.json]).toEqual([404, { detail: 'data_id not found' }]);
  });

  test('of a stream without chunks has no channels', async () => {
    expect((await ledgerOf(await openStream(server, 1))).channels).toEqual([]);
  });
});

describe('a channel of many pages', () => {
  const end = 2 * page + 10;
  let dataId: string;
  let channelId: number;
  beforeAll(async () => {
    dataId = await openStream(server, 1);
    // The first page ends before a gap, the second one after it.
    channelId = await fillChannel(server, dataId, 'v', end, `k not in (${page}, ${page + 1}, ${page + 5})`);
  });

  test('is one account', async () => {
    const { channels } = await ledgerOf(dataId, '?content_hashes=1');
    expect(channels).toMatchObject([{ chunk_count: end - 3, point_count: end - 3, missing_count: 3 }]);
    expect(channels[0].missing).toEqual([
      [page, page + 1],
      [page + 5, page + 5],
    ]);
    expect(channels[0].present).toEqual([
      [0, page - 1],
      [page + 2, page + 4],
      [page + 6, end - 1],
    ]);
    expect(channels[0].chunks).toHaveLength(end - 3);
    expect(channels[0].chunks.at(-1).chunk_index).toBe(end - 1);
  });

  test('is shown as it stands at one moment, whatever is stored between its pages', async () => {
    const read = (database: Database) =>
      readAccount(
        database.as(organizationId),
        { data_id: dataId, points_per_chunk: 1, finalized_at: null },
        channel,
        { ...httpLimits, ...pointLimits, ...ledgerLimits, pageChunksMax: page },
        async () => {},
      );
    const channel = { channel_id: channelId, channel_name: 'v' };
    const { rows } = await server.owner.pool.query('select organization_id from streams where data_id = $1::uuid', [
      dataId,
    ]);
    const organizationId = rows[0].organization_id;
    const before = await read(server.database);
    const stored: number[] = [];
    const during = await read(
      betweenPages(server.database, async () => {
        const index = [0, end + 1][stored.length] ?? page;
        stored.push(index);
        await storeChunk(server, dataId, 'v', index, readingsFrom(index, 2));
      }),
    );
    expect(stored).toHaveLength(3);
    expect(during.digest()).toEqual(before.digest());
    expect(during.chunkCount).toBe(end - 3);
    const after = await read(server.database);
    expect([after.chunkCount, after.holes.highestIndex]).toEqual([end - 1, end + 1]);
  });
});

/** The same database, on which something happens between one page and the next. */
function betweenPages(database: Database, happen: () => Promise<void>): Database {
  const connectAs = async (organizationId: string) => {
    const client = await database.as(organizationId).pool.connect();
    const query = (...args: unknown[]) => {
      const output = (client.query as (...all: unknown[]) => unknown).apply(client, args);
      return output instanceof Readable ? held(output) : output;
    };
    return { query, release: (error?: Error) => client.release(error) } as unknown as pg.PoolClient;
  };
  const held = (output: Readable & { callback?: () => void }) => {
    const flush = (done: (error?: Error) => void) => void happen().then(() => done(), done);
    const callback = () => output.callback?.();
    return Object.assign(output.pipe(new PassThrough({ flush })), { callback });
  };
  const as = (id: string) => ({ ...database.as(id), pool: { ...database.as(id).pool, connect: () => connectAs(id) } });
  return { ...database, as, readingAs: as };
}
