import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { timestampsOfChunk, valuesOfChunk } from '../../src/database/stored-series.ts';
import { forgetOldRevisions } from '../../src/streams/old-revisions.ts';
import { deleteOldRevisions } from '../../src/streams/revision-store.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { channelRows, chunkBody, openStream, prefixes, recountedChannels, storedChunks } from './support/chunks.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ FINALIZE_GRACE_SECONDS: 0 });
});
afterAll(() => server?.close());

const send = (dataId: string, index: number, values: (number | null)[], options = {}, key?: string) =>
  server.post('/tool-state/stream/chunk', chunkBody(dataId, index, 't', values, options), key);

const restore = (dataId: string, chunkIndex: number, revision: number, prefix = '/tool-state/stream') =>
  server.post(`${prefix}/${dataId}/chunks/restore`, { channel_name: 't', chunk_index: chunkIndex, revision });

async function revisions(dataId: string) {
  const { rows } = await server.owner.pool.query(
    `select r.*, ${timestampsOfChunk('r')} as timestamps, ${valuesOfChunk('r')} as "values", u.name as by, before.name as stored_by,
            encode(r.content_hash, 'hex') as hash, encode(r.replacing_hash, 'hex') as replacing
     from chunk_revisions r
     join api_keys k on k.key_id = r.replaced_by_key_id join users u using (user_id)
     join api_keys kb on kb.key_id = r.key_id join users before on before.user_id = kb.user_id
     where r.data_id = $1::uuid order by r.chunk_index, r.revision`,
    [dataId],
  );
  return rows;
}

describe('Chunk-Outcome', () => {
  test.each(prefixes)('says under %s what became of a chunk', async (prefix) => {
    const dataId = await openStream(server);
    const outcome = async (value: number) =>
      (await server.post(`${prefix}/chunk`, chunkBody(dataId, 0, 't', [value]))).headers['chunk-outcome'];
    expect(await outcome(1)).toBe('created');
    expect(await outcome(1)).toBe('unchanged');
    expect(await outcome(2)).toBe('replaced');
  });

  test('counts the channels of a request', async () => {
    const dataId = await openStream(server);
    const outcome = async (channels: Record<string, number>) => {
      const pairs = Object.entries(channels).map(([name, value]) => [name, { timestamps: [1], values: [value] }]);
      const body = { data_id: dataId, chunk_index: 0, channels: Object.fromEntries(pairs) };
      return (await server.post('/tool-state/stream/chunk/multi', body)).headers['chunk-outcome'];
    };
    expect(await outcome({ a: 1, b: 1, c: 1 })).toBe('created=3, unchanged=0, replaced=0');
    expect(await outcome({ a: 1, b: 2, c: 1, d: 1 })).toBe('created=1, unchanged=2, replaced=1');
  });

  test('of equal chunks that come at once one is created, and points are counted once', async () => {
    const dataId = await openStream(server);
    const points = async () => Number(/^metrology_points_total (\d+)/m.exec((await server.get('/metrics')).text)?.[1]);
    const before = await points();
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(dataId, 0, [1, 2, 3])));
    const outcomes = answers.map(({ headers }) => headers['chunk-outcome']).sort();
    expect(outcomes).toEqual(['created', ...Array(19).fill('unchanged')]);
    expect((await points()) - before).toBe(3);
  });
});

describe('a chunk that is replaced', () => {
  test('keeps what it held, who had stored it and who replaced it; an identical one leaves no trace', async () => {
    const dataId = await openStream(server);
    await send(dataId, 0, [1.5, null, -0], { units: 'nm', timestamps: [1, null, 3] });
    const [first] = await storedChunks(server, dataId);
    await send(dataId, 0, [1.5, null, -0], { units: 'nm', timestamps: [1, null, 3] });
    expect(await revisions(dataId)).toEqual([]);
    await send(dataId, 0, [2, 3], {}, server.keys.grace);
    await send(dataId, 0, [2, 3], {}, server.keys.grace);
    await send(dataId, 0, [4]);
    const [one, two, ...more] = await revisions(dataId);
    expect(more).toEqual([]);
    expect(one).toMatchObject({
      revision: 1,
      by: 'grace',
      stored_by: 'ada',
      units: 'nm',
      point_count: 3,
      null_count: 1,
    });
    expect([one.timestamps, one.values]).toEqual([
      [1, null, 3],
      [1.5, null, -0],
    ]);
    expect(one.content_hash).toEqual((first as unknown as { content_hash: Buffer }).content_hash);
    expect(two).toMatchObject({ revision: 2, by: 'ada', stored_by: 'grace', values: [2, 3], units: null });
    expect(two.hash).toBe(one.replacing);
    expect(two.stored_at > one.stored_at && two.stored_at <= two.replaced_at).toBe(true);
  });

  test('32 different contents at once: every one that lost is kept, in one chain of hashes', async () => {
    const other = await joinTestServer(server);
    const dataId = await openStream(server);
    await Promise.all(
      Array.from({ length: 32 }, (_, i) =>
        (i % 2 ? server : other).post('/tool-state/stream/chunk', chunkBody(dataId, 0, 't', [i])),
      ),
    );
    await other.close();
    const kept = await revisions(dataId);
    expect(kept.map((row) => row.revision)).toEqual(Array.from({ length: 31 }, (_, i) => i + 1));
    for (const [i, row] of kept.slice(1).entries()) expect(row.hash).toBe(kept[i].replacing);
    const [standing] = await storedChunks(server, dataId);
    const all = [...kept.map((row) => row.values[0]), standing?.values[0]];
    expect(all.sort((a, b) => a - b)).toEqual(Array.from({ length: 32 }, (_, i) => i));
  });
});

describe('restoring a revision', () => {
  test.each(prefixes)('under %s puts it back as a replacement like any other, counters too', async (prefix) => {
    const dataId = await openStream(server);
    await send(dataId, 0, [1.5, null, -0], { units: 'nm', timestamps: [10, null, 30] });
    await send(dataId, 0, [7], { timestamps: [99] });
    const answer = await restore(dataId, 0, 1, prefix);
    expect([answer.status, answer.headers['chunk-outcome']]).toEqual([200, 'replaced']);
    expect(answer.json).toEqual({ data_id: dataId, channel_name: 't', chunk_index: 0, total_points: 3 });
    const [row] = await storedChunks(server, dataId);
    expect(row).toMatchObject({ timestamps: [10, null, 30], units: 'nm', replaced_count: 2, null_count: 1 });
    expect(row?.values.map((value) => Object.is(value, -0))).toEqual([false, false, true]);
    expect(await channelRows(server, dataId)).toEqual(await recountedChannels(server, dataId));
    expect((await revisions(dataId)).map((kept) => kept.values)).toEqual([[1.5, null, -0], [7]]);
    expect((await restore(dataId, 0, 1, prefix)).headers['chunk-outcome']).toBe('unchanged');
  });

  test('works when the grace for late chunks is over', async () => {
    const dataId = await openStream(server);
    await send(dataId, 0, [1]);
    await send(dataId, 0, [2]);
    await server.post(`/tool-state/stream/${dataId.toUpperCase()}/finalize`);
    expect((await send(dataId, 0, [3])).status).toBe(409);
    expect((await restore(dataId.toUpperCase(), 0, 1)).status).toBe(200);
    expect((await storedChunks(server, dataId))[0]?.values).toEqual([1]);
  });

  test('works beside a late chunk of the same content, which is refused', async () => {
    const dataId = await openStream(server);
    for (const index of [0, 1]) for (const value of [1, 2]) await send(dataId, index, [value]);
    await server.post(`/tool-state/stream/${dataId}/finalize`);
    const queued = async (chunks: number) => {
      const wanted = `metrology_ingest_queue_chunks ${chunks}\n`;
      for (let tries = 0; !(await server.get('/metrics')).text.includes(wanted); tries++) {
        if (tries === 500) throw new Error(`not: ${wanted}`);
        await sleep(5);
      }
    };
    const client = await server.owner.pool.connect();
    await client.query('begin');
    await client.query('select from channels where data_id = $1::uuid for update', [dataId]);
    const first = restore(dataId, 1, 1);
    await queued(1);
    const late = send(dataId, 0, [1]);
    await queued(2);
    const second = restore(dataId, 0, 1);
    await queued(3);
    await client.query('commit');
    client.release();
    expect((await Promise.all([first, late, second])).map(({ status }) => status)).toEqual([200, 409, 200]);
  });

  test.each([
    ['channel', { channel_name: 'other' }],
    ['chunk', { chunk_index: 1 }],
    ['revision', { revision: 2 }],
  ])('404 for an unknown %s', async (_what, change) => {
    const dataId = await openStream(server);
    await send(dataId, 0, [1]);
    await send(dataId, 0, [2]);
    const body = { channel_name: 't', chunk_index: 0, revision: 1, ...change };
    const answer = await server.post(`/tool-state/stream/${dataId}/chunks/restore`, body);
    expect([answer.status, answer.json]).toEqual([404, { detail: expect.stringContaining('Revision') }]);
  });
});

describe('REVISIONS_KEEP_DAYS', () => {
  test('what was replaced longer ago is removed at the start; what is younger stays', async () => {
    const dataId = await openStream(server);
    for (const value of [1, 2, 3]) await send(dataId, 0, [value]);
    await server.owner.pool.query(
      `update chunk_revisions set replaced_at = now() - interval '8 days' where data_id = $1::uuid and revision = 1`,
      [dataId],
    );
    const sweeping = await joinTestServer(server, { REVISIONS_KEEP_DAYS: 7 });
    await expect.poll(async () => (await revisions(dataId)).map((row) => row.revision)).toEqual([2]);
    await sweeping.close();
    await send(dataId, 0, [4]);
    expect((await revisions(dataId)).map((row) => row.revision)).toEqual([2, 3]);
  });

  test('goes again and again, in pieces, as its limits say', async () => {
    const dataId = await openStream(server);
    for (let value = 0; value <= 5; value++) await send(dataId, 0, [value]);
    const limits = { revisionSweepMs: 50, revisionSweepRowsMax: 2 };
    const errors: Error[] = [];
    const stop = forgetOldRevisions(server.database, 7, (error) => errors.push(error), limits);
    onTestFinished(stop);
    await server.owner.pool.query(
      `update chunk_revisions set replaced_at = now() - interval '8 days' where data_id = $1::uuid and revision < 5`,
      [dataId],
    );
    await expect.poll(async () => (await revisions(dataId)).map((row) => row.revision)).toEqual([5]);
    expect(errors).toEqual([]);
  });

  test('removes at most so many in one statement', async () => {
    const dataId = await openStream(server);
    for (let value = 0; value <= 5; value++) await send(dataId, 0, [value]);
    await server.owner.pool.query(
      `update chunk_revisions set replaced_at = to_timestamp(revision) where data_id = $1::uuid`,
      [dataId],
    );
    expect(await deleteOldRevisions(server.database, 3_000, 3)).toBe(3);
    expect((await revisions(dataId)).map((row) => row.revision)).toEqual([4, 5]);
  });
});
