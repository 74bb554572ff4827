import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { toChunkImage } from '../../src/streams/chunk-image.ts';
import type { CommittedChunk } from '../../src/streams/committed.ts';
import type { IngestItem } from '../../src/streams/ingest-rows.ts';
import { createKnownChannels } from '../../src/streams/known-channels.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { channelRows, chunkBody, openStream, recountedChannels, storedChunks } from './support/chunks.ts';

/* Chunks beyond all that a server has written go without a look at what stands there, which may have changed meanwhile. */

let server: TestServer;
/** A second server on the same database. */
let sibling: TestServer;
beforeAll(async () => {
  server = await startTestServer({ FINALIZE_GRACE_SECONDS: 60 });
  sibling = await joinTestServer(server, { FINALIZE_GRACE_SECONDS: 60 });
});
afterAll(async () => {
  await sibling.close();
  await server.close();
});

const chunkUrl = '/tool-state/stream/chunk';
const multiUrl = '/tool-state/stream/chunk/multi';

async function write(through: TestServer, dataId: string, index: number, values: number[]) {
  const answer = await through.post(chunkUrl, chunkBody(dataId, index, 't', values));
  expect(answer.status, answer.text).toBe(201);
  return { outcome: answer.headers['chunk-outcome'], total: answer.json.total_points };
}

/** A stream of which `server` has written chunk 0, and would write chunk 1 without a look. */
async function knownStream(): Promise<string> {
  const dataId = await openStream(server);
  await write(server, dataId, 0, [1, 2, 3]);
  return dataId;
}

/** Writes chunks, and says of each whether it was looked up first. */
function watchLooks(dataId: string) {
  const looks = vi.spyOn(pg.Client.prototype, 'query');
  onTestFinished(() => looks.mockRestore());
  return async (index: number) => {
    looks.mockClear();
    await write(server, dataId, index, [index]);
    return looks.mock.calls.some(
      ([statement]: unknown[]) => (statement as { name?: string }).name === 'read_addresses',
    );
  };
}

test('only the first chunk of a channel, and one that may be there, are looked up', async () => {
  const dataId = await openStream(server);
  const lookedUp = watchLooks(dataId);
  expect(await lookedUp(0)).toBe(true);
  expect(await lookedUp(1)).toBe(false);
  expect(await lookedUp(5)).toBe(false);
  expect(await lookedUp(4)).toBe(true);
  expect(await lookedUp(5)).toBe(true);
  expect(await lookedUp(6)).toBe(false);
  expect((await storedChunks(server, dataId)).map((chunk) => chunk.chunk_index)).toEqual([0, 1, 4, 5, 6]);
});

test('every row that was written is touched, once', async () => {
  const queries = vi.spyOn(pg.Client.prototype, 'query');
  const dataId = await knownStream();
  for (const index of [1, 2, 3]) await write(server, dataId, index, [index]);
  // Rows of an earlier test, whose streams are others, may still share the statement.
  const touched = () =>
    queries.mock.calls
      .map(([statement]: unknown[]) => statement as unknown as { name: string; values: Buffer[] })
      .filter(({ name }) => name === 'touch_chunks')
      .flatMap(({ values: [dataIds, , firstIndexes, lastIndexes] }) => {
        const ids = elementsOf(dataIds as Buffer).map((id) => id.toString('hex'));
        const [firsts, lasts] = [numbersOf(firstIndexes as Buffer), numbersOf(lastIndexes as Buffer)];
        return firsts.flatMap((first, i) => {
          const length = ids[i] === dataId.replaceAll('-', '') ? (lasts[i] as number) - first + 1 : 0;
          return Array.from({ length }, (_, k) => first + k);
        });
      });
  await vi.waitFor(() => expect(touched()).toEqual([0, 1, 2, 3]), { timeout: 10_000 });
  queries.mockRestore();
});

const numbersOf = (array: Buffer) => elementsOf(array).map((number) => Number(number.readBigInt64BE()));

/** The elements of a binary array. */
function elementsOf(array: Buffer): Buffer[] {
  const headerBytes = 20;
  const bytes = array.readInt32BE(headerBytes) + 4;
  return Array.from({ length: array.readInt32BE(12) }, (_, i) =>
    array.subarray(headerBytes + i * bytes + 4, headerBytes + (i + 1) * bytes),
  );
}

describe('where another server was faster', () => {
  test('the same content changes nothing, other content replaces it, and what shares the flush is stored', async () => {
    const [same, other, alone] = [await knownStream(), await knownStream(), await knownStream()];
    await write(sibling, same, 1, [4]);
    await write(sibling, other, 1, [5]);
    const answers = await Promise.all([
      write(server, same, 1, [4]),
      write(server, other, 1, [6, 7]),
      write(server, alone, 1, [8]),
    ]);
    expect(answers).toEqual([
      { outcome: 'unchanged', total: 4 },
      { outcome: 'replaced', total: 5 },
      { outcome: 'created', total: 4 },
    ]);
    for (const dataId of [same, other, alone]) {
      expect(await write(server, dataId, 2, [9])).toMatchObject({ outcome: 'created' });
      expect(await channelRows(server, dataId)).toEqual(await recountedChannels(server, dataId));
    }
  });

  test('all channels of a request are stored, or none', async () => {
    const dataId = await openStream(server);
    const multi = (through: TestServer, chunkIndex: number, values: Record<string, number>) =>
      through.post(multiUrl, {
        data_id: dataId,
        chunk_index: chunkIndex,
        channels: Object.fromEntries(
          Object.entries(values).map(([name, value]) => [name, { timestamps: [1_700_000_000], values: [value] }]),
        ),
      });
    await multi(server, 0, { a: 1, b: 1 });
    await multi(sibling, 1, { b: 2 });
    const answer = await multi(server, 1, { a: 2, b: 3 });
    expect(answer.headers['chunk-outcome']).toBe('created=1, unchanged=0, replaced=1');
    expect(await channelRows(server, dataId)).toEqual(await recountedChannels(server, dataId));
  });
});

describe('a stream that was known', () => {
  test('and has been deleted is 404, and takes chunks again when it is back', async () => {
    const dataId = await knownStream();
    await server.owner.pool.query('update streams set deleted_at = now() where data_id = $1::uuid', [dataId]);
    const refused = await server.post(chunkUrl, chunkBody(dataId, 1, 't', [1]));
    expect([refused.status, refused.json]).toEqual([404, { detail: 'Stream not found' }]);
    expect(await storedChunks(server, dataId)).toHaveLength(1);
    await server.owner.pool.query('update streams set deleted_at = null where data_id = $1::uuid', [dataId]);
    expect(await write(server, dataId, 1, [1])).toEqual({ outcome: 'created', total: 4 });
  });

  test('and is finalized takes late chunks for the grace, and then none', async () => {
    const dataId = await knownStream();
    await server.post(`/tool-state/stream/${dataId}/finalize`);
    expect(await write(server, dataId, 1, [1])).toEqual({ outcome: 'created', total: 4 });
    await server.owner.pool.query(
      `update streams set finalized_at = now() - interval '61 s' where data_id = $1::uuid`,
      [dataId],
    );
    const refused = await server.post(chunkUrl, chunkBody(dataId, 2, 't', [1]));
    expect(refused.status).toBe(409);
    expect(refused.json.detail).toContain('FINALIZE_GRACE_SECONDS');
    expect(await storedChunks(server, dataId)).toHaveLength(2);
  });

  test('is still not there for another organization', async () => {
    const dataId = await knownStream();
    expect((await server.post(chunkUrl, chunkBody(dataId, 1, 't', [1]), server.keys.rival)).status).toBe(404);
    expect(await storedChunks(server, dataId)).toHaveLength(1);
  });

  test('refuses an offset that is no exact integer', async () => {
    const dataId = await openStream(server, { points_per_chunk: 1_000_000 });
    await write(server, dataId, 0, [1]);
    const answer = await server.post(chunkUrl, chunkBody(dataId, Math.ceil(2 ** 53 / 1_000_000), 't', [1]));
    expect(answer.status).toBe(422);
    expect(answer.json.detail[0].msg).toContain(String(Number.MAX_SAFE_INTEGER));
    expect(await storedChunks(server, dataId)).toHaveLength(1);
  });
});

describe('where an older state of the database was restored', () => {
  /** Takes the channel of a stream away, and gives its id to a channel of `heir`. */
  async function giveIdAway(dataId: string, heir: string, channelName: string): Promise<void> {
    await server.owner.pool.query('delete from chunks where data_id = $1::uuid', [dataId]);
    await server.owner.pool.query(
      `with gone as (delete from channels where data_id = $1::uuid returning channel_id, organization_id)
       insert into channels (data_id, channel_id, channel_name, organization_id) overriding system value
       select $2::uuid, channel_id, $3::text, organization_id from gone`,
      [dataId, heir, channelName],
    );
  }

  const chunksOf = async (dataId: string, channelName: string) => {
    const { rows } = await server.owner.pool.query<{ count: number }>(
      'select chunk_count::integer as count from channels where data_id = $1::uuid and channel_name = $2::text',
      [dataId, channelName],
    );
    return rows[0]?.count;
  };

  test.each(['another stream', 'another name'])('a known id that is the channel of %s gets nothing', async (whose) => {
    const [dataId, neighbour] = [await knownStream(), await openStream(server)];
    const heir = whose === 'another stream' ? neighbour : dataId;
    await giveIdAway(dataId, heir, whose === 'another stream' ? 't' : 'u');
    expect(await write(server, dataId, 1, [1, 2])).toEqual({ outcome: 'created', total: 2 });
    for (const stream of [dataId, neighbour]) {
      expect(await channelRows(server, stream)).toEqual(await recountedChannels(server, stream));
    }
    expect(await chunksOf(heir, whose === 'another stream' ? 't' : 'u')).toBe(0);
    expect(await chunksOf(dataId, 't')).toBe(1);
  });

  test('two channels that are known by one id are told apart in one flush too', async () => {
    const dataId = await knownStream();
    await giveIdAway(dataId, dataId, 'u');
    await server.post(chunkUrl, chunkBody(dataId, 0, 'u', [1]));
    const answers = await Promise.all([
      server.post(chunkUrl, chunkBody(dataId, 1, 't', [1])),
      server.post(chunkUrl, chunkBody(dataId, 2, 'u', [1])),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    expect([await chunksOf(dataId, 't'), await chunksOf(dataId, 'u')]).toEqual([1, 2]);
  });

  test('nothing is remembered beyond a lost connection', async () => {
    const dataId = await knownStream();
    const lookedUp = watchLooks(dataId);
    expect(await lookedUp(1)).toBe(false);
    await server.owner.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and application_name = 'metrology-server'`,
    );
    let index = 2;
    expect(await lookedUp(index)).toBe(true);
    // The loss of the other connections may be noticed a moment later.
    await vi.waitFor(async () => expect(await lookedUp(++index)).toBe(false), { timeout: 10_000 });
  });
});

test('what is known is bounded: the channels that were used longest ago go first', () => {
  const known = createKnownChannels(4);
  const isKnown = (channelId: number) => known.rowsIfNew(rowOf(channelId, 1).item) !== undefined;
  for (const channelId of [1, 2, 3]) known.note([rowOf(channelId, 0)]);
  expect(isKnown(1)).toBe(true);
  known.note([rowOf(4, 0)]);
  expect([2, 4, 1].map(isKnown)).toEqual([false, true, true]);
});

test('channels that all come in turn stay known while there is room for twice as many', () => {
  const known = createKnownChannels(2_000);
  const rows = Array.from({ length: 1_000 }, (_, channelId) => rowOf(channelId, 0));
  known.note(rows);
  let misses = 0;
  for (let round = 1; round < 5; round++) {
    for (const [channelId] of rows.entries())
      misses += Number(known.rowsIfNew(rowOf(channelId, round).item) === undefined);
  }
  expect(misses).toBe(0);
});

function rowOf(channelId: number, chunkIndex: number): CommittedChunk {
  const arrival = { channelName: `channel ${channelId}`, image: toChunkImage({ timestamps: [1], values: [1] }) };
  const item: IngestItem = {
    organizationId: 'lab',
    keyId: 1,
    dataId: 'stream',
    chunkIndex,
    arrivals: [arrival],
    isRestoring: false,
    slices: [],
    bytes: 0,
    arrivedAt: 0,
  };
  return { ...arrival, item, channelId, pointsPerChunk: 1, outcome: 'created', totalPoints: 1 };
}
