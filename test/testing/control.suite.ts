import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { TestOrganization, TestServer } from '../../src/testing/client.ts';
import { chunkOf, clientOf, startBuilt } from './support/built-program.ts';

/* Organizations, the journal, the clock and the reset of one server, as a test drives them. */

/** 50 ms for an organization and 300 ms for a reset are promised for two quiet cores; other tests run beside these. */
const busyFactor = 30;

let server: TestServer;
let lab: TestOrganization;
let send: ReturnType<typeof clientOf>;
let dataId: string;

beforeAll(async () => {
  server = await startBuilt({ seed: 'control', settings: { REVISIONS_KEEP_DAYS: 1, REFERENCE_CLOCK: true } });
});
afterAll(() => server?.stop());
beforeEach(async () => {
  await server.reset();
  lab = await server.newOrganization();
  send = clientOf(lab.url, lab.apiKey);
  dataId = await openStream();
});

const openStream = async () =>
  (await send('POST', '/metrology/stream/initialize', { points_per_chunk: 2 })).json.data_id as string;
const chunk = (index: number, values?: number[]) =>
  send('POST', '/metrology/stream/chunk', { ...chunkOf(dataId, index), ...(values && { values }) });

describe('organizations', () => {
  test('see nothing of each other, and are quick to make', async () => {
    const times: number[] = [];
    for (let count = 0; count < 10; count++) {
      const startedAt = performance.now();
      await server.newOrganization();
      times.push(performance.now() - startedAt);
    }
    console.info(`a new organization: ${Math.round(Math.min(...times))} ms at best`);
    expect(Math.min(...times)).toBeLessThan(50 * busyFactor);
    const rival = await server.newOrganization({ name: 'rival' });
    expect(rival.name).toBe('rival');
    const asRival = clientOf(rival.url, rival.apiKey);
    expect((await asRival('GET', '/data_entries/')).json).toEqual([]);
    expect((await send('GET', '/data_entries/')).json).toHaveLength(1);
    expect((await asRival('POST', `/metrology/stream/${dataId}/finalize`)).status).toBe(404);
  });

  test('may have a key that can less, and one that ends', async () => {
    const reader = await server.newOrganization({ scopes: ['read'], key_expires_in_s: 60 });
    const asReader = clientOf(reader.url, reader.apiKey);
    expect((await asReader('POST', '/metrology/stream/initialize', { points_per_chunk: 2 })).status).toBe(403);
    expect((await asReader('GET', '/data_entries/')).status).toBe(200);
    await server.clock.advance(61);
    expect((await asReader('GET', '/data_entries/')).status).toBe(401);
  });

  test('many at once have a key each', async () => {
    const made = await Promise.all(Array.from({ length: 12 }, () => server.newOrganization()));
    expect(new Set(made.map(({ apiKey }) => apiKey)).size).toBe(12);
    expect(new Set(made.map(({ organizationId }) => organizationId)).size).toBe(12);
  });
});

describe('requests', () => {
  test('tell what arrived, in order, the key masked', async () => {
    await chunk(0, [-0, 2.5]);
    await send('GET', '/data_entries/?keywords=a&keywords=b');
    const requests = await lab.requests.waitFor(3);
    expect(requests.map(({ method, path, status }) => [method, path, status])).toEqual([
      ['POST', '/metrology/stream/initialize', 200],
      ['POST', '/metrology/stream/chunk', 201],
      ['GET', '/data_entries/', 200],
    ]);
    const [, stored, search] = requests;
    expect(stored?.body).toEqual({ ...chunkOf(dataId, 0), values: [-0, 2.5] });
    expect(stored).toMatchObject({ is_complete: true, fault: null, duration_ms: expect.any(Number) });
    expect(search?.query).toEqual({ keywords: ['a', 'b'] });
    expect(JSON.stringify(requests)).not.toContain(lab.apiKey);
    expect(stored?.headers).toMatchObject({ 'x-api-key': `${lab.apiKey.slice(0, 15)}…` });
    expect(requests.map(({ number }) => number)).toEqual(
      [...requests.map(({ number }) => number)].sort((a, b) => a - b),
    );
  });

  test('also those that were refused, whatever for', async () => {
    await send('POST', '/metrology/stream/chunk', { nonsense: true });
    await send('GET', '/nowhere');
    await clientOf(lab.url, 'key-that-nobody-has')('GET', '/data_entries/');
    const refused = await server.requests.list();
    expect(refused.slice(-3).map(({ path, status }) => [path, status])).toEqual([
      ['/metrology/stream/chunk', 422],
      ['/nowhere', 404],
      ['/data_entries/', 401],
    ]);
    expect(JSON.stringify(refused)).not.toContain('nobody-has');
    // Those under a key of the organization are its own, be they refused while the body is read.
    const found = await lab.requests.list({ status: 422, path: '/**/chunk' });
    expect(found).toMatchObject([{ organization_id: lab.organizationId, body: { nonsense: true } }]);
    await send('POST', '/metrology/stream/chunk', { ...chunkOf(dataId, 7), values: [1] });
    expect(await lab.requests.waitFor(1, { data_id: dataId, chunk_index: 7 })).toMatchObject([{ status: 422 }]);
  });

  test('are waited for, and the answer comes as soon as they are there', async () => {
    const startedAt = performance.now();
    const waiting = lab.requests.waitFor(3, { path: '/**/chunk' }, 30);
    for (const index of [0, 1, 2]) await chunk(index);
    expect((await waiting).map(({ body }) => body.chunk_index)).toEqual([0, 1, 2]);
    expect(performance.now() - startedAt).toBeLessThan(25_000);
    await expect(lab.requests.waitFor(4, { path: '/**/chunk' }, 0.1)).rejects.toThrow('3 requests, not 4, have come');
  });

  test('one that hangs has come too, before it is answered', async () => {
    await lab.faults.add({ match: { path: '/**/chunk' }, action: { hang: true } });
    const gone = new AbortController();
    const body = JSON.stringify(chunkOf(dataId, 0));
    const headers = { 'x-api-key': lab.apiKey, 'content-type': 'application/json' };
    const hanging = fetch(`${lab.url}/metrology/stream/chunk`, { method: 'POST', headers, body, signal: gone.signal });
    const [request] = await lab.requests.waitFor(1, { faulty: true });
    expect(request).toMatchObject({ status: null, duration_ms: null, body: chunkOf(dataId, 0) });
    gone.abort();
    await expect(hanging).rejects.toThrow();
  });

  test('are filtered', async () => {
    for (const index of [0, 1, 1]) await chunk(index);
    const numbers = async (filter: Parameters<typeof lab.requests.list>[0]) =>
      (await lab.requests.list(filter)).map(({ number }) => number);
    const [, first, second, third] = await numbers({});
    expect(await numbers({ chunk_index: 1 })).toEqual([second, third]);
    expect(await numbers({ method: 'post', path: '/metrology/stream/*' })).toHaveLength(4);
    expect(await numbers({ status: 201, after: first as number })).toEqual([second, third]);
    expect(await numbers({ data_id: dataId, channel_name: 'pressure' })).toEqual([first, second, third]);
    expect((await send('GET', '/_test/requests?chunkindex=1')).status).toBe(422);
  });

  test('are forgotten on request', async () => {
    await server.requests.clear();
    expect(await server.requests.list()).toEqual([]);
  });
});

describe('the clock', () => {
  test('ends the grace of a finalized stream', async () => {
    await chunk(0);
    await send('POST', `/metrology/stream/${dataId}/finalize`);
    await server.clock.advance(110);
    expect((await chunk(1)).status).toBe(201);
    await server.clock.advance(20);
    expect((await chunk(2)).status).toBe(409);
    await server.clock.restore();
    expect((await chunk(2)).status).toBe(201);
  });

  test('lets a stream fall silent', async () => {
    await chunk(0);
    const status = async () => (await send('GET', '/data_entries/')).json[0].pipeline_status;
    const before = await status();
    await server.clock.advance(3_700);
    expect([before, await status()]).toEqual(['stream_active', 'stream_interrupted']);
  });

  test('is in every time of the catalogue, and in what the server writes itself', async () => {
    await server.clock.set('2031-05-06T07:08:09Z');
    const id = await openStream();
    await send('POST', '/metrology/stream/chunk', chunkOf(id, 0));
    const { json: project } = await send('POST', '/projects/', { name: 'later' });
    const { json: tag } = await send('POST', '/tags/', { name: 'late' });
    const { json: entries } = await send('GET', `/data_entries/${id}`);
    const { json: ledger } = await send('GET', `/metrology/stream/${id}/chunks`);
    const { json: about } = await send('GET', `/exports/${id}/metadata`);
    const { json: official } = await send('GET', '/gateway/time');
    const texts = [project, tag, entries, ledger, about, new Date(official.transmittedAtUnixMs).toISOString()];
    const times =
      texts
        .map((json) => JSON.stringify(json))
        .join()
        .match(/20\d\d-\d\d-\d\d[T ]\d\d:\d\d/g) ?? [];
    const ofReadings = /^2024-01-15T/;
    const found = [...new Set(times.filter((time) => !ofReadings.test(time)).map((time) => time.slice(0, 10)))];
    expect(found).toEqual(['2031-05-06']);
    expect(times.length).toBeGreaterThan(4);
    const [newest] = (await lab.requests.list()).slice(-1);
    expect(newest?.at).toMatch(/^2031-05-06T07:08/);
  });

  test('makes due what is done from time to time: old revisions go', async () => {
    await chunk(0);
    await chunk(0, [7, 8]);
    const revisions = async () => (await send('GET', `/metrology/stream/${dataId}/chunks/revisions`)).json;
    const count = async () => JSON.stringify(await revisions()).match(/"revision":/g)?.length ?? 0;
    expect(await count()).toBe(1);
    await server.clock.advance(2 * 86_400);
    await expect.poll(count).toBe(0);
  });

  test('runs on, and refuses what is no time', async () => {
    const to = await server.clock.set('2030-01-01T00:00:00Z');
    expect(to.toISOString()).toMatch(/^2030-01-01T00:00:00/);
    await expect.poll(async () => (await server.clock.now()).getTime()).toBeGreaterThan(to.getTime());
    for (const body of [{}, { at: 'soon' }, { advance_s: 1e15 }, { advance_s: 1, offset_s: 2 }, { advance_s: '1' }]) {
      expect([body, (await send('POST', '/_test/clock', body)).status]).toEqual([body, 422]);
    }
    expect((await send('GET', '/_test/clock')).json.offset_s).toBeGreaterThan(86_400);
  });
});

describe('a reset', () => {
  test('empties everything, and is quick', async () => {
    await chunk(0);
    await lab.faults.add({ action: { status: 503 } });
    await server.clock.advance(86_400);
    const times: number[] = [];
    for (let count = 0; count < 5; count++) {
      const startedAt = performance.now();
      await server.reset();
      times.push(performance.now() - startedAt);
    }
    console.info(`a reset: ${Math.round(Math.min(...times))} ms at best`);
    expect(Math.min(...times)).toBeLessThan(300 * busyFactor);
    expect([await server.faults.list(), await server.requests.list()]).toEqual([[], []]);
    expect(Math.abs((await server.clock.now()).getTime() - Date.now())).toBeLessThan(5_000);
    expect((await send('GET', '/data_entries/')).status).toBe(401);
    const asFirst = clientOf(server.url, server.apiKey);
    expect((await asFirst('GET', '/data_entries/')).json).toEqual([]);
  });

  test('begins anew: the same requests give the same ids, keys, answers', async () => {
    const round = async () => {
      await server.reset();
      const made = await server.newOrganization();
      const ask = clientOf(made.url, made.apiKey);
      const opened = (await ask('POST', '/metrology/stream/initialize', { points_per_chunk: 2 })).json;
      const stored = (await ask('POST', '/metrology/stream/chunk', chunkOf(opened.data_id, 0))).json;
      const beyond = (await ask('POST', '/metrology/stream/chunk', chunkOf(opened.data_id, 1, 'rate'))).json;
      const project = (await ask('POST', '/projects/', { name: 'p' })).json.id;
      const rule = { match: { path: '/**/chunk' }, probability: 0.5, action: { status: 503 } };
      await server.faults.add(rule);
      const dice = [];
      for (let index = 2; index < 18; index++) {
        dice.push((await ask('POST', '/metrology/stream/chunk', chunkOf(opened.data_id, index))).status);
      }
      return { made: [made.apiKey, made.organizationId, made.name], opened, stored, beyond, project, dice };
    };
    const first = await round();
    expect(await round()).toEqual(first);
    expect(new Set(first.dice)).toEqual(new Set([201, 503]));
    expect(first.stored.total_points).toBe(2);
  });

  test('lets go of requests that hang', async () => {
    await lab.faults.add({ match: { path: '/**/chunk' }, action: { hang: true } });
    const hanging = chunk(0).then(
      () => 'answered',
      () => 'cut',
    );
    await lab.requests.waitFor(1, { faulty: true });
    await server.reset();
    expect(await hanging).toBe('cut');
  });
});
