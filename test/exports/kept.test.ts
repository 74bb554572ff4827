import { chmod, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createExportCache } from '../../src/exports/cache.ts';
import { exportLimits } from '../../src/exports/limits.ts';
import { byteRangeOf } from '../../src/http/send-file.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';

/* Exports of streams that do not change any more: made once, with a length, an ETag and ranges. */

let folder: string;
let server: TestServer;
let count = 0;
beforeAll(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'metrology-kept-')), 'exports');
  server = await startTestServer({
    FINALIZE_GRACE_SECONDS: 0,
    EXPORT_CACHE_BYTES: 100_000_000,
    EXPORT_CACHE_DIR: folder,
  });
});
afterAll(async () => {
  await server?.close();
  await rm(join(folder, '..'), { recursive: true, force: true });
});

const send = async (method: string, url: string, headers: Record<string, string> = {}, on = server) => {
  const answer = await on.app.inject({
    method: method as 'GET',
    url,
    headers: { 'x-api-key': on.keys.ada, ...headers },
  });
  return { status: answer.statusCode, headers: answer.headers, body: answer.rawPayload };
};
const get = (url: string, headers?: Record<string, string>) => send('GET', url, headers);

async function makeStream({ finalize = true, chunks = 3 } = {}): Promise<string> {
  const body = { stream_name: `kept ${++count}`, points_per_chunk: 100 };
  const { data_id } = (await server.post('/metrology/stream/initialize', body)).json;
  for (let chunk_index = 0; chunk_index < chunks; chunk_index++) {
    const values = Array.from({ length: 100 }, (_, i) => chunk_index * 100 + i + 0.5);
    const timestamps = values.map((value) => 1_700_000_000 + value);
    const chunk = { data_id, channel_name: 'p', chunk_index, timestamps, values };
    expect((await server.post('/metrology/stream/chunk', chunk)).status).toBe(201);
  }
  if (finalize) expect((await server.post(`/metrology/stream/${data_id}/finalize`)).status).toBe(200);
  return data_id;
}

describe.each([
  'format=csv&layout=long',
  'format=csv&layout=wide',
  'format=parquet&layout=long',
  'format=parquet&layout=wide',
])('%s', (query) => {
  test('has a length, an ETag and ranges once the stream is finalized, and the same bytes on every server', async () => {
    const url = `/exports/${await makeStream()}?${query}`;
    const [whole, again, head] = [await get(url), await get(url), await send('HEAD', url)];
    const { etag } = whole.headers;
    expect(etag).toMatch(/^"[0-9a-f]{64}"$/);
    expect(whole.headers).toMatchObject({ 'content-length': String(whole.body.length), 'accept-ranges': 'bytes' });
    expect(whole.headers['cache-control']).toBe('private, no-cache');
    expect(again.body.equals(whole.body)).toBe(true);
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect(head.headers).toMatchObject({ etag, 'content-length': String(whole.body.length) });
    // One that keeps nothing, and one with a folder of its own.
    const other = join(folder, '..', `other-${count}`);
    const second = await joinTestServer(server, {
      FINALIZE_GRACE_SECONDS: 0,
      EXPORT_CACHE_BYTES: 100_000_000,
      EXPORT_CACHE_DIR: other,
    });
    try {
      const elsewhere = await send('GET', url, {}, second);
      expect(elsewhere.headers.etag).toBe(etag);
      expect(elsewhere.body.equals(whole.body)).toBe(true);
    } finally {
      await second.close();
    }
    const parts = [];
    for (let first = 0; first < whole.body.length; first += 1_000) {
      const part = await get(url, { range: `bytes=${first}-${first + 999}`, 'if-range': String(etag) });
      const last = Math.min(first + 999, whole.body.length - 1);
      expect([part.status, part.headers['content-range']]).toEqual([
        206,
        `bytes ${first}-${last}/${whole.body.length}`,
      ]);
      expect(part.headers['content-length']).toBe(String(part.body.length));
      parts.push(part.body);
    }
    expect(Buffer.concat(parts).equals(whole.body)).toBe(true);
  });
});

test('what was resumed, is known or lies beyond the end', async () => {
  const url = `/exports/${await makeStream()}`;
  const { body, headers } = await get(url);
  const etag = String(headers.etag);
  const rest = await get(url, { range: 'bytes=100-' });
  expect([rest.status, rest.body.equals(body.subarray(100))]).toEqual([206, true]);
  const tail = await get(url, { range: 'bytes=-10' });
  expect([tail.status, tail.body.equals(body.subarray(-10))]).toEqual([206, true]);
  const other = await get(url, { range: 'bytes=100-', 'if-range': '"another"' });
  expect([other.status, other.body.length]).toEqual([200, body.length]);
  expect((await get(url, { range: 'bytes=0-1,5-6' })).status).toBe(200);
  const beyond = await get(url, { range: `bytes=${body.length}-` });
  expect([beyond.status, beyond.headers['content-range']]).toEqual([416, `bytes */${body.length}`]);
  for (const known of [etag, `"x", W/${etag}`, '*']) {
    const answer = await get(url, { 'if-none-match': known });
    expect([answer.status, answer.body.length, answer.headers.etag]).toEqual([304, 0, etag]);
  }
  expect((await get(url, { 'if-none-match': '"x"' })).status).toBe(200);
});

test('with the values before a window and without them are files of their own', async () => {
  const url = `/exports/${await makeStream()}?layout=wide&start=1700000200`;
  const [plain, carried] = [await get(url), await get(`${url}&carry_in=true`)];
  expect(carried.headers.etag).not.toBe(plain.headers.etag);
  const rowsOf = ({ body }: { body: Buffer }) => body.toString().trimEnd().split('\n').length - 1;
  expect([rowsOf(plain), rowsOf(carried)]).toEqual([100, 101]);
  expect((await get(`${url}&carry_in=false`)).headers.etag).toBe(plain.headers.etag);
});

test('a stream that may still grow is streamed as ever', async () => {
  const open = await get(`/exports/${await makeStream({ finalize: false })}`);
  expect([open.status, open.headers.etag, open.headers['content-length']]).toEqual([200, undefined, undefined]);
  const patient = await joinTestServer(server, {
    FINALIZE_GRACE_SECONDS: 3_600,
    EXPORT_CACHE_BYTES: 1_000_000,
    EXPORT_CACHE_DIR: folder,
  });
  try {
    const url = `/exports/${await makeStream()}`;
    expect((await send('GET', url, {}, patient)).headers.etag).toBeUndefined();
    // Of several, all must be over.
    const [done, grows] = [await makeStream(), await makeStream({ finalize: false })];
    expect((await get(`/exports/?data_ids=${done}&data_ids=${grows}`)).headers.etag).toBeUndefined();
    expect((await get(`/exports/?data_ids=${done}`)).headers.etag).toBeDefined();
  } finally {
    await patient.close();
  }
});

test('what changes all the same is another file', async () => {
  const dataId = await makeStream();
  const url = `/exports/${dataId}?format=parquet`;
  const first = await get(url);
  await server.owner.pool.query(
    `update chunks set values = array_fill(7::float8, array[100]) where data_id = $1::uuid and chunk_index = 1`,
    [dataId],
  );
  await server.owner.pool.query('update channels set changed_at = now() where data_id = $1::uuid', [dataId]);
  const second = await get(url);
  expect(second.headers.etag).not.toBe(first.headers.etag);
  expect(second.body.equals(first.body)).toBe(false);
  await server.send('PATCH', `/data_entries/${dataId}`, { raw_name: 'called otherwise' });
  const third = await get(url, { 'if-none-match': String(second.headers.etag) });
  expect([third.status, third.headers.etag === second.headers.etag]).toEqual([200, false]);
  // Other forms are other files too.
  const etags = new Set();
  for (const query of ['', '?layout=wide', '?escape_formulas=true', '?channel_names=p&layout=wide', '?format=parquet'])
    etags.add((await get(`/exports/${dataId}${query}`)).headers.etag);
  etags.add((await get(`/exports/?data_ids=${dataId}`)).headers.etag);
  expect(etags.size).toBe(5);
});

test('nobody gets the file of another organization, or of a stream that was deleted', async () => {
  const dataId = await makeStream();
  const url = `/exports/${dataId}`;
  const { etag } = (await get(url)).headers;
  expect((await get(url, { 'x-api-key': server.keys.rival, 'if-none-match': String(etag) })).status).toBe(404);
  await server.send('DELETE', `/data_entries/?data_ids=${dataId}`);
  expect((await get(url, { range: 'bytes=0-1' })).status).toBe(404);
});

describe('the cache', () => {
  const pieces = async function* (bytes: number, fail?: Error) {
    for (let rest = bytes; rest > 0; rest -= 100) yield Buffer.alloc(Math.min(rest, 100), 1);
    if (fail) throw fail;
  };
  const reported: string[] = [];
  const cacheIn = (path: string, bytesMax: number, now?: () => number) =>
    createExportCache({
      folder: path,
      bytesMax,
      limits: exportLimits,
      report: (error) => reported.push(error.message),
      ...(now && { now }),
    });
  const openAndClose = async (cache: ReturnType<typeof cacheIn>, key: string, bytes: number) => {
    const file = await cache.open(key, async () => pieces(bytes));
    await file?.handle.close();
    return file?.bytes;
  };

  test('holds no more than it may, and lets go first of what was not asked for the longest', async () => {
    const path = join(folder, '..', 'small');
    let now = 1_000_000_000_000;
    const cache = cacheIn(path, 4_000, () => (now += 10_000));
    for (const key of ['a', 'b', 'c', 'd']) expect(await openAndClose(cache, key, 1_000)).toBe(1_000);
    expect(await openAndClose(cache, 'a', 1_000)).toBe(1_000);
    await openAndClose(cache, 'e', 1_000);
    expect((await readdir(path)).sort()).toEqual(['a', 'c', 'd', 'e']);
    // A quarter of it at most for one.
    expect(await openAndClose(cache, 'f', 1_001)).toBeUndefined();
    const again = () => Promise.reject(new Error('is not begun again'));
    expect(await cache.open('f', again)).toBeUndefined();
    expect((await readdir(path)).sort()).toEqual(['a', 'c', 'd', 'e']);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
  });

  test('makes a file once for all who ask for it at once, some at a time, and lets nobody wait for those of others', async () => {
    const cache = cacheIn(join(folder, '..', 'busy'), 1_000_000);
    const { keptMakesMax } = exportLimits;
    let [made, busy, most] = [0, 0, 0];
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const make = async () => {
      made++;
      return (async function* () {
        most = Math.max(most, ++busy);
        await released;
        yield Buffer.from('x');
        busy--;
      })();
    };
    let refused = 0;
    const asked = Array.from({ length: 20 }, async (_, i) => {
      const file = await cache.open(`k${i % 5}`, make);
      if (file === undefined) refused++;
      return file;
    });
    await expect.poll(() => refused).toBe(20 - 4 * keptMakesMax);
    release();
    const files = await Promise.all(asked);
    // Which come first is up to the file system.
    const keys = files.flatMap((file, i) => (file === undefined ? [] : [i % 5]));
    expect([new Set(keys).size, keys.length]).toEqual([keptMakesMax, 4 * keptMakesMax]);
    for (const file of files) await file?.handle.close();
    expect([made, most]).toEqual([keptMakesMax, keptMakesMax]);
    const later = await cache.open('k4', make);
    expect(later?.bytes).toBe(1);
    await later?.handle.close();
  });

  test('keeps nothing of what broke off, tells who asked, and removes what others left behind', async () => {
    const path = join(folder, '..', 'broken');
    const cache = cacheIn(path, 1_000_000);
    await expect(cache.open('a', async () => pieces(300, new Error('lost')))).rejects.toThrow('lost');
    expect(await readdir(path)).toEqual([]);
    await writeFile(join(path, 'x.1.part'), 'left');
    await utimes(join(path, 'x.1.part'), 1, 1);
    await writeFile(join(path, 'y.2.part'), 'still being made');
    expect(await openAndClose(cache, 'a', 300)).toBe(300);
    expect((await readdir(path)).sort()).toEqual(['a', 'y.2.part']);
  });

  test('a folder that others can read, or that is none, is reported, and exports are served without it', async () => {
    const path = join(folder, '..', 'open');
    await rm(path, { recursive: true, force: true });
    await openAndClose(cacheIn(path, 1_000), 'a', 10);
    await chmod(path, 0o755);
    reported.length = 0;
    expect(await openAndClose(cacheIn(path, 1_000), 'b', 10)).toBeUndefined();
    expect(reported).toEqual([expect.stringContaining('mode 700')]);
    const file = join(path, 'a');
    const served = await joinTestServer(server, {
      FINALIZE_GRACE_SECONDS: 0,
      EXPORT_CACHE_BYTES: 1_000_000,
      EXPORT_CACHE_DIR: join(file, 'below'),
    });
    try {
      const answer = await send('GET', `/exports/${await makeStream()}`, {}, served);
      expect([answer.status, answer.headers.etag]).toEqual([200, undefined]);
      expect(answer.body.length).toBeGreaterThan(1_000);
    } finally {
      await served.close();
    }
  });
});

test.each([
  ['bytes=0-0', { first: 0, last: 0 }],
  ['bytes=5-', { first: 5, last: 9 }],
  ['bytes=5-100', { first: 5, last: 9 }],
  ['bytes=-3', { first: 7, last: 9 }],
  ['bytes=-30', { first: 0, last: 9 }],
  ['bytes=10-', 'beyond'],
  ['bytes=-0', 'beyond'],
  ['bytes=5-4', undefined],
  ['bytes=-', undefined],
  ['bytes=a-b', undefined],
  ['lines=1-2', undefined],
  [undefined, undefined],
])('of ten bytes, %s is %j', (header, range) => {
  expect(byteRangeOf(header, 10)).toEqual(range);
});
