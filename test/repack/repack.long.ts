import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { openDatabase } from '../../src/database/database.ts';
import { createPacker } from '../../src/database/series-packer.ts';
import { timesColumns, valuesColumns } from '../../src/database/stored-series.ts';
import { type LeftRow, repack } from '../../src/repack/repack.ts';
import { verify } from '../../src/verify/verify.ts';
import { follow } from '../live/support/follower.ts';
import { storeAsSent } from '../support/as-sent.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let server: TestServer;
let dataId: string;
const query = (text: string, values?: unknown[]) => server.owner.pool.query(text, values);

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());
beforeEach(async () => {
  await query('truncate streams cascade; truncate chunks; truncate chunk_revisions');
  dataId = await open(server.keys.ada);
});

async function open(key: string): Promise<string> {
  return (await server.post('/metrology/stream/initialize', { points_per_chunk: 40 }, key)).json.data_id;
}

const count = 40;
const start = 1_700_000_000;
const series = (of: (i: number) => number | null) => Array.from({ length: count }, (_, i) => of(i));
/** As a clock gives them, with a jitter of up to a millisecond. */
const jittered = series((i) => start + i / 10 + ((i * 7_919) % 1_000) / 1e6 + 1e-7);
const regular = series((i) => start + i / 10);

const mix: [string, (number | null)[], (number | null)[], string | null][] = [
  ['decimals', jittered, series((i) => 20 + ((i * 37) % 1_000) / 1_000), 'nm'],
  ['float32', jittered, series((i) => Math.fround(Math.sin(i))), 'Å'],
  ['absent', series((i) => (i % 9 === 4 ? null : start + i)), series((i) => (i % 3 === 0 ? null : i / 8)), null],
  ['all absent', regular, series(() => null), null],
  ['constant', regular, series(() => 5), 'K'],
  ['all digits', jittered, series((i) => Math.sin(i)), null],
  ['negative zero', regular, series((i) => (i === 3 ? -0 : i)), null],
  ['denormal', regular, series((i) => (i === 3 ? 5e-324 : 0.1)), null],
  ['wide', regular, series((i) => (i * 1_000_003) / 1_000), null],
];

async function send(channel_name: string, chunk_index: number, values: (number | null)[], more: object = {}) {
  const chunk = { data_id: dataId, chunk_index, channel_name, timestamps: regular, values, ...more };
  const { status } = await server.post('/metrology/stream/chunk', chunk);
  expect(status).toBe(201);
}

/** Chunks of every kind, of which each second one was replaced, in the form of before. */
async function storeMix(): Promise<void> {
  for (const [name, timestamps, values, units] of mix) {
    await send(name, 0, values, { timestamps, units });
    await send(name, 1, values, { timestamps, units });
    await send(name, 1, [...values].reverse(), { timestamps, units });
  }
  await storeAsSent(server.owner);
}

/** Decimals that pack, in one channel. */
async function storeMany(chunks: number, channel = 'p'): Promise<void> {
  for (let i = 0; i < chunks; i++)
    await send(
      channel,
      i,
      series((k) => (i + k) / 1_000),
    );
  await storeAsSent(server.owner);
}

type Options = Parameters<typeof repack>[1];
async function run(options: Partial<Options> = {}) {
  const left: LeftRow[] = [];
  const limits = { heldPauseMs: 10, heldTriesMax: 2, ...options.limits };
  const result = await repack(server.database, { onLeft: (row) => left.push(row), ...options, limits });
  return { ...result, left };
}

const forms = [...timesColumns, ...valuesColumns].map((column) => column.replaceAll('"', ''));

/** All that is stored besides the form of series, and all that is told of it. */
async function everything() {
  const tables: Record<string, unknown[]> = {};
  for (const table of ['streams', 'channels', 'chunks', 'chunk_revisions']) {
    const { rows } = await query(`select to_jsonb(t) - $1::text[] as row from ${table} t order by 1`, [forms]);
    tables[table] = rows;
  }
  const paths = ['chunks?content_hashes=true&marks=true', 'certificate', 'chunks/revisions'];
  const told = await Promise.all(paths.map((path) => server.get(`/metrology/stream/${dataId}/${path}`)));
  const points =
    await query(`select c.channel_name, k.chunk_index, p.place, float8send(p.seconds) as s, float8send(p.value) as v
    from chunks k join channels c using (data_id, channel_id)
    cross join lateral chunk_points(k.point_count, ${forms.map((column) => `k."${column}"`).join(', ')}) p order by 1, 2, 3`);
  const exported = await server.get(`/exports/${dataId}/?format=csv`);
  return {
    tables,
    told: told.map(({ status, text }) => [status, text.replace(/"certified_at":"[^"]+"/, '')]),
    points: points.rows,
    exported: [exported.status, exported.text],
  };
}

async function rawRows(table = 'chunks'): Promise<number> {
  const { rows } = await query(`select count(*) from ${table} where timestamps is not null or "values" is not null`);
  return rows[0].count;
}

const expectWhole = async () => {
  const { chunks, revisions, channels } = await verify(server.database, () => {});
  expect([chunks.differ, revisions.differ, channels.differ]).toEqual([0, 0, 0]);
};

describe('repack', () => {
  test('packs what can be packed, in chunks and in what they held before; all that is told of them stays the same', async () => {
    await storeMix();
    const before = await everything();
    expect([...before.told, before.exported].map(([status]) => status)).toEqual([200, 200, 200, 200]);
    const { looked, packed, asSent, wrong, heldChannels, pointBytes, tableBytes, isBrokenOff, left } = await run();
    expect({ looked, wrong, heldChannels, isBrokenOff, left }).toEqual({
      ...{ looked: 25, wrong: 0, heldChannels: 0, isBrokenOff: false, left: [] },
    });
    // Of each but the ones in which a series has to stay as it was sent, everything; and of those the times.
    expect([packed, asSent]).toEqual([25, 11]);
    expect(pointBytes.after).toBeLessThan(pointBytes.before / 3);
    expect(tableBytes.before).toBeGreaterThan(0);
    expect(await everything()).toEqual(before);
    await expectWhole();
  });

  test('a second run finds what stayed as it was sent, and writes nothing', async () => {
    await storeMix();
    await run();
    const marks = () =>
      query('select ctid, xmin, xmax from chunks union all select ctid, xmin, xmax from chunk_revisions');
    const before = (await marks()).rows;
    expect(await run()).toMatchObject({ looked: 25, packed: 0, asSent: 11, wrong: 0 });
    expect((await marks()).rows).toEqual(before);
  });

  test('an empty database is done at once', async () => {
    const told: number[][] = [];
    expect(await run({ onProgress: (...numbers) => told.push(numbers) })).toMatchObject({ looked: 0, packed: 0 });
    expect(told.every(([looked]) => looked === 0)).toBe(true);
  });

  test('chunks of 1,000 points keep their last residuals apart', async () => {
    const long = Array.from({ length: 1_000 }, (_, i) => ((i * 7_919) % 10_000) / 1_000);
    const timestamps = long.map((_, i) => start + i / 10);
    await send('long', 0, long, { timestamps });
    await storeAsSent(server.owner);
    expect(await run()).toMatchObject({ packed: 1 });
    const { rows } = await query(
      'select octet_length(value_residuals) as kept, octet_length(value_rest) as apart from chunks',
    );
    expect(rows).toEqual([{ kept: 1_996, apart: 4 }]);
    await expectWhole();
  });

  test('works under the role that owns the tables too, and for all organizations', async () => {
    await storeMany(2);
    const ofRival = await open(server.keys.rival);
    const body = { data_id: ofRival, chunk_index: 0, channel_name: 'q', timestamps: [1], values: [2] };
    await server.post('/metrology/stream/chunk', body, server.keys.rival);
    await storeAsSent(server.owner);
    const owning = openDatabase(server.databaseUrl, { poolMax: 1, onIdleError: () => {} });
    onTestFinished(() => owning.close());
    expect(await repack(owning, { onLeft: () => {} })).toMatchObject({ looked: 3, packed: 3 });
    expect(await rawRows()).toBe(0);
  });

  test('refuses while a program is connected that may not be able to read packed rows', async () => {
    await storeMany(1);
    await query(`update kysely_migration set release_before_serves = true where name = '0013_packed_series'`);
    const { default: pg } = await import('pg');
    const before = new pg.Client({ connectionString: server.databaseUrl, application_name: 'metrology-server' });
    await before.connect();
    await expect(run()).rejects.toThrow('may not be able to read packed series');
    expect(await rawRows()).toBe(1);
    await before.end();
    await expect.poll(() => run().catch(() => undefined), { timeout: 10_000 }).toMatchObject({ packed: 1 });
  });

  test('whoever follows a run is told of nothing, and later only of what is new', async () => {
    await storeMany(3);
    await server.app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = server.app.server.address() as AddressInfo;
    const follower = await follow(port, `/metrology/${dataId}/live`, server.keys.ada);
    onTestFinished(() => follower.leave());
    await follower.until((events) => events.find(({ event }) => event === 'channels'));
    const before = follower.events.length;
    expect(await run()).toMatchObject({ packed: 3 });
    await send('p', 3, regular, { timestamps: regular.map((time) => (time as number) + 100) });
    const next = await follower.until((events) => events.slice(before).find(({ event }) => event === 'channels'));
    expect(follower.events.slice(before).filter(({ event }) => event === 'channels')).toEqual([next]);
    expect(next.data.channels).toMatchObject([{ chunk_count: 4, span: [(start + 100) * 1_000, expect.any(Number)] }]);
  });
});

describe('bounds of repack', () => {
  test('goes on beyond pageRowsMax, transactionRowsMax and transactionBytesMax', async () => {
    await storeMix();
    const small = { pageRowsMax: 4, transactionRowsMax: 3, transactionBytesMax: 2 * count * 16 };
    expect(await run({ limits: small })).toMatchObject({ looked: 25, packed: 25, asSent: 11 });
    await storeAsSent(server.owner);
    // A row that is larger than all that may go together goes alone.
    expect(await run({ limits: { transactionBytesMax: 1 } })).toMatchObject({ packed: 25 });
    await expectWhole();
  });

  test.each([
    [{ transactionRowsMax: 2 }, 3],
    [{ transactionBytesMax: 3 * count * 16 }, 2],
    [{}, 1],
  ])('writes under %o in so many transactions', async (limits, transactions) => {
    await storeMany(6);
    await run({ limits });
    const { rows } = await query('select count(distinct xmin::text) from chunks');
    expect(rows[0].count).toBe(transactions);
  });

  test('packs no more than it was told to, and goes on from there the next time', async () => {
    await storeMix();
    // Those that cannot be packed whole count once they have been packed in part.
    for (const [packedMax, wanted, isCut] of [
      [5, 5, true],
      [1, 1, true],
      [19, 19, false],
      [20, 0, false],
    ] as const) {
      const { packed, isBrokenOff } = await run({ packedMax });
      expect([packed, isBrokenOff]).toEqual([wanted, isCut]);
    }
    await expectWhole();
  });
});

describe('a run that does not come to its end', () => {
  test('ends after the transaction under way when it is told to, and the next one does the rest', async () => {
    await storeMany(9);
    const stop = new AbortController();
    const limits = { pageRowsMax: 2 };
    const first = await run({ limits, signal: stop.signal, onProgress: (looked) => looked >= 4 && stop.abort() });
    expect(first).toMatchObject({ looked: 4, packed: 4, isBrokenOff: true });
    expect(await rawRows()).toBe(5);
    await expectWhole();
    expect(await run({ limits })).toMatchObject({ looked: 9, packed: 5, isBrokenOff: false });
  });

  test('leaves nothing half done when its connection is cut in a transaction', async () => {
    await storeMany(4);
    const client = await server.owner.pool.connect();
    await client.query('begin; select from channels for update');
    const cut = run({ limits: { lockMsMax: 60_000 } });
    cut.catch(() => {});
    const ended = () =>
      query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like '%for no key update%'`);
    await expect.poll(async () => (await ended()).rowCount, { timeout: 20_000 }).toBe(1);
    await expect(cut).rejects.toThrow();
    await client.query('rollback');
    client.release();
    expect(await rawRows()).toBe(4);
    expect(await run()).toMatchObject({ packed: 4 });
    await expectWhole();
  });
});

describe('rows that are left as they are', () => {
  const rowsOf = async () => (await query('select to_jsonb(k) as row from chunks k where chunk_index = 1')).rows;

  test.each([
    [`"values"[2] = 7`, 'its hash is not that of its content'],
    [`content_hash = sha256('other')`, 'its hash is not that of its content'],
    ['point_count = 39', 'its hash is not that of its content'],
  ])('%s: told, and not written', async (change, problem) => {
    await storeMany(3);
    await query(`update chunks set ${change} where chunk_index = 1`);
    const before = await rowsOf();
    const { packed, wrong, left } = await run();
    expect({ packed, wrong, left }).toEqual({
      packed: 2,
      wrong: 1,
      left: [{ dataId, place: 'channel "p", chunk 1', problem }],
    });
    expect(await rowsOf()).toEqual(before);
  });

  test('a replaced content is named with its number', async () => {
    await send(
      'p',
      0,
      series((i) => i),
    );
    await send('p', 0, regular);
    await storeAsSent(server.owner);
    await query('update chunk_revisions set "values"[1] = 9');
    expect((await run()).left).toEqual([
      { dataId, place: 'channel "p", chunk 0, replaced content 1', problem: 'its hash is not that of its content' },
    ]);
  });

  test('what would be read otherwise than before is not kept, and its neighbours are packed', async () => {
    await storeMany(3);
    const right = createPacker();
    let calls = 0;
    const packer: typeof right = {
      pack(given) {
        const series = right.pack(given);
        // The values of the second chunk.
        return ++calls === 4 && series !== undefined ? { ...series, base: series.base + 1 } : series;
      },
    };
    const { packed, left } = await run({ packer });
    expect(packed).toBe(2);
    expect(left).toEqual([
      { dataId, place: 'channel "p", chunk 1', problem: 'packed, it would not be read as it was sent' },
    ]);
    expect(await rawRows()).toBe(1);
    await expectWhole();
  });
});

describe('beside writers', () => {
  test('channels that somebody holds come last; those held all the time are counted and left', async () => {
    await storeMany(3, 'held');
    await storeMany(3, 'free');
    const client = await server.owner.pool.connect();
    await client.query(`begin; select from channels where channel_name = 'held' for no key update`);
    const limits = { lockMsMax: 20, transactionRowsMax: 1 };
    expect(await run({ limits })).toMatchObject({ looked: 6, packed: 3, heldChannels: 1 });
    // Once it is free, the same run comes back to it.
    const patient = run({ limits: { ...limits, heldTriesMax: 1_000 } });
    await sleep(200);
    await client.query('rollback');
    client.release();
    expect(await patient).toMatchObject({ looked: 6, packed: 3, heldChannels: 0 });
    expect(await rawRows()).toBe(0);
  });

  test('a chunk that is replaced between being read and written keeps what is new', async () => {
    await storeMany(1);
    const right = createPacker();
    let replacing: Promise<void> | undefined;
    const client = await server.owner.pool.connect();
    await client.query('begin; select from channels for no key update');
    const packer: typeof right = {
      pack(given) {
        replacing ??= (async () => {
          await client.query(`update chunks set content_hash = sha256('new'), changed_at = now()`);
          await client.query('commit');
          client.release();
        })();
        return right.pack(given);
      },
    };
    const { packed, left, heldChannels } = await run({ packer, limits: { lockMsMax: 20_000 } });
    await replacing;
    expect({ packed, left, heldChannels }).toEqual({ packed: 0, left: [], heldChannels: 0 });
    expect(await rawRows()).toBe(1);
  });

  test('nothing is lost and nobody is refused while chunks are replaced, added and removed', async () => {
    for (const channel of ['a', 'b', 'c'])
      for (let i = 0; i < 12; i++)
        await send(
          channel,
          i,
          series((k) => k / 10),
        );
    await storeAsSent(server.owner);
    const expected = new Map<number, number>();
    const statuses = new Set<number>();
    // Three writers, each with chunk indexes of its own, in all channels.
    const write = async (seed: number) => {
      for (let round = 0; round < 40; round++) {
        const chunk_index = (round % 4) * 3 + seed;
        const value = seed * 100_000 + round;
        const values = series(() => value);
        const channels = Object.fromEntries(['c', 'b', 'a'].map((name) => [name, { timestamps: regular, values }]));
        const answer = await server.post('/metrology/stream/chunk/multi', { data_id: dataId, chunk_index, channels });
        statuses.add(answer.status);
        if (answer.status === 201) expected.set(chunk_index, value);
      }
    };
    let isDone = false;
    const writing = Promise.all([0, 1, 2].map(write)).finally(() => {
      isDone = true;
    });
    let packed = 0;
    while (!isDone) {
      const result = await run({ limits: { transactionRowsMax: 2, pageRowsMax: 5 } });
      expect(result.left).toEqual([]);
      packed += result.packed;
      await storeAsSent(server.owner, ['chunks']);
    }
    await writing;
    expect([...statuses]).toEqual([201]);
    expect(packed).toBeGreaterThan(0);
    expect(expected.size).toBe(12);
    await run();
    const { rows } = await query(`select k.chunk_index, min(p.value) as least, max(p.value) as most from chunks k
      cross join lateral chunk_points(k.point_count, ${forms.map((column) => `k."${column}"`).join(', ')}) p group by 1`);
    const values = rows.map(({ chunk_index, least, most }) => [chunk_index, least === most && least]);
    expect(new Map(values as [number, number][])).toEqual(expected);
    await expectWhole();
  });

  test('a stream that is being removed is passed over', async () => {
    await storeMany(2);
    await query('delete from channels');
    expect(await run()).toMatchObject({ looked: 2, packed: 0, wrong: 0 });
  });
});
