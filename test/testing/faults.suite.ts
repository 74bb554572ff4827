import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { TestOrganization, TestServer } from '../../src/testing/client.ts';
import type { FaultBody } from '../../src/testing/wire.ts';
import { chunkOf, clientOf, startBuilt } from './support/built-program.ts';

/* What rules of faults do, as a client sees it over a socket, and what is stored all the same. */

let server: TestServer;
let lab: TestOrganization;
let send: ReturnType<typeof clientOf>;
let dataId: string;

beforeAll(async () => {
  server = await startBuilt({ seed: 'faults' });
});
afterAll(() => server?.stop());
beforeEach(async () => {
  lab = await server.newOrganization();
  send = clientOf(lab.url, lab.apiKey);
  dataId = (await send('POST', '/metrology/stream/initialize', { points_per_chunk: 2 })).json.data_id;
});
afterEach(() => server.faults.remove());

const chunk = (index: number, channel?: string) =>
  send('POST', '/metrology/stream/chunk', chunkOf(dataId, index, channel));
/** How the connection ended for `fetch`, or the status. */
const outcome = (answer: Promise<{ status: number }>) =>
  answer.then(
    ({ status }) => status,
    (error) => (error.cause as { code?: string })?.code ?? error.message,
  );
const storedChunks = async () => {
  const { json } = await send('GET', `/metrology/${dataId}/points/?channel=pressure`);
  return (json.chunks as { chunk_index: number }[] | undefined)?.map((one) => one.chunk_index) ?? [];
};
const statuses = async (count: number) => {
  const found = [];
  for (let index = 0; index < count; index++) found.push((await chunk(index)).status);
  return found;
};

describe('before', () => {
  test('a status, with headers and a body, instead of storing', async () => {
    const body = { detail: 'full' };
    await lab.faults.add({ times: 1, action: { status: 503, headers: { 'retry-after': '7' }, body } });
    const answer = await chunk(0);
    expect([answer.status, answer.json, answer.headers.get('retry-after')]).toEqual([503, body, '7']);
    expect(await storedChunks()).toEqual([]);
    expect((await chunk(0)).status).toBe(201);
  });

  test('a text as it is', async () => {
    await lab.faults.add({ action: { status: 502, body: '<html>Bad Gateway</html>' } });
    const answer = await chunk(0);
    expect([answer.status, answer.json]).toEqual([502, '<html>Bad Gateway</html>']);
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain/);
  });

  test('the connection is cut', async () => {
    await lab.faults.add({ times: 1, action: { reset: true } });
    expect(await outcome(chunk(0))).toBe('ECONNRESET');
    const [request] = await lab.requests.waitFor(1, { chunk_index: 0 });
    expect(request).toMatchObject({ status: null, is_complete: false, fault: { action: { reset: true } } });
    expect(await storedChunks()).toEqual([]);
  });

  test('no answer for as long as the client waits', async () => {
    await lab.faults.add({ times: 1, action: { hang: true } });
    const given = AbortSignal.timeout(500);
    const asked = fetch(`${lab.url}/metrology/stream/chunk`, {
      method: 'POST',
      headers: { 'x-api-key': lab.apiKey, 'content-type': 'application/json' },
      body: JSON.stringify(chunkOf(dataId, 0)),
      signal: given,
    });
    await expect(asked).rejects.toThrow(/timeout/i);
    expect(await storedChunks()).toEqual([]);
  });

  test('also what the server would have refused, by what it is: its content, its key, its path', async () => {
    const wrong = { ...chunkOf(dataId, 4), values: [1] };
    const multi = { data_id: dataId, chunk_index: 4, channels: { pressure: { timestamps: [1], values: [] } } };
    const rule = await lab.faults.add({ match: { chunk_index: 4 }, times: 2, action: { status: 503 } });
    expect((await send('POST', '/metrology/stream/chunk', wrong)).json.detail).toContain(`fault ${rule.id}`);
    expect((await send('POST', '/tool-state/stream/chunk/multi', multi)).status).toBe(503);
    expect((await send('POST', '/metrology/stream/chunk', wrong)).status).toBe(422);
    await lab.faults.add({ match: { chunk_index: 4 }, nth: 1, action: { reset: true } });
    expect(await outcome(send('POST', '/metrology/stream/chunk', wrong))).toBe('ECONNRESET');
    await server.faults.add({ match: { path: '/nowhere' }, action: { status: 418 } });
    expect((await send('GET', '/nowhere')).status).toBe(418);
    await server.faults.add({ match: { method: 'get' }, action: { status: 502 } });
    expect((await clientOf(lab.url, 'key-that-nobody-has')('GET', '/data_entries/')).status).toBe(502);
    const hits = (await server.faults.list()).map(({ matched, hit }) => [matched, hit]);
    expect(hits).toEqual([
      [4, 2],
      [1, 1],
      [1, 1],
      [1, 1],
    ]);
  });

  test('a delay, after which all goes on', async () => {
    await lab.faults.add({ match: { chunk_index: 0 }, action: { delay_ms: 400 } });
    const startedAt = performance.now();
    expect((await chunk(0)).status).toBe(201);
    expect(performance.now() - startedAt).toBeGreaterThan(390);
    expect(await storedChunks()).toEqual([0]);
  });
});

describe('after the commit the chunk is stored and the client is told otherwise', () => {
  test.each([
    ['a status', { status: 500 }, 500],
    ['a cut connection', { reset: true }, 'ECONNRESET'],
    ['half an answer', { truncate_bytes: 10 }, 'terminated'],
    ['a head alone', { truncate_bytes: 0 }, 'terminated'],
  ] as [string, FaultBody['action'], number | string][])('%s', async (_name, action, seen) => {
    await lab.faults.add({ times: 1, when: 'after_commit', action });
    const said = await outcome(chunk(3));
    // fetch says either of an answer that breaks off.
    expect(said === 'UND_ERR_SOCKET' ? 'terminated' : said).toBe(seen);
    expect(await storedChunks()).toEqual([3]);
    const again = await chunk(3);
    expect([again.status, again.headers.get('chunk-outcome'), again.json.total_points]).toEqual([201, 'unchanged', 2]);
    const requests = await lab.requests.list({ chunk_index: 3 });
    expect(requests.map(({ fault }) => fault !== null)).toEqual([true, false]);
  });

  test('what was refused is not spoiled, and does not count', async () => {
    const rule = await lab.faults.add({ nth: 1, when: 'after_commit', action: { status: 500 } });
    const wrong = { ...chunkOf(dataId, 0), values: [1] };
    expect((await send('POST', '/metrology/stream/chunk', wrong)).status).toBe(422);
    expect((await chunk(0)).status).toBe(500);
    expect((await server.faults.list()).find(({ id }) => id === rule.id)).toMatchObject({ matched: 1, hit: 1 });
  });

  test('a read can be slow: all arrives, in time', async () => {
    await chunk(0);
    const { json: whole } = await send('GET', `/metrology/${dataId}/points/?channel=pressure`);
    const bytes = JSON.stringify(whole).length;
    await lab.faults.add({ match: { method: 'get' }, action: { drip_bytes_per_s: bytes * 2 } });
    const startedAt = performance.now();
    expect((await send('GET', `/metrology/${dataId}/points/?channel=pressure`)).json).toEqual(whole);
    expect(performance.now() - startedAt).toBeGreaterThan(400);
  });
});

describe('which requests', () => {
  test('nth, every and times', async () => {
    await lab.faults.add({ match: { path: '/**/chunk' }, nth: 2, action: { status: 501 } });
    expect(await statuses(3)).toEqual([201, 501, 201]);
    await server.faults.remove();
    await lab.faults.add({ match: { path: '/**/chunk' }, every: 2, action: { status: 502 } });
    expect(await statuses(5)).toEqual([201, 502, 201, 502, 201]);
    await server.faults.remove();
    await lab.faults.add({ match: { path: '/**/chunk' }, times: 2, action: { status: 503 } });
    expect(await statuses(3)).toEqual([503, 503, 201]);
  });

  test('by stream, channel and index, of a chunk of one channel and of several', async () => {
    const { data_id: other } = (await send('POST', '/tool-state/stream/initialize', { points_per_chunk: 2 })).json;
    await lab.faults.add({
      match: { data_id: dataId.toUpperCase(), channel_name: 'rate', chunk_index: 1 },
      action: { status: 503 },
    });
    expect((await chunk(1)).status).toBe(201);
    expect((await chunk(1, 'rate')).status).toBe(503);
    expect((await chunk(2, 'rate')).status).toBe(201);
    const multi = (id: string) => {
      const { timestamps, values } = chunkOf(id, 1);
      const channels = { thickness: { timestamps, values }, rate: { timestamps, values } };
      return send('POST', '/tool-state/stream/chunk/multi', { data_id: id, chunk_index: 1, channels });
    };
    expect((await multi(dataId)).status).toBe(503);
    expect((await multi(other)).status).toBe(201);
  });

  test('finalize is known by the stream in its path', async () => {
    await lab.faults.add({ match: { data_id: dataId, path: '/**/finalize' }, times: 1, action: { status: 503 } });
    const finalize = () => send('POST', `/metrology/stream/${dataId}/finalize`);
    expect([(await finalize()).status, (await finalize()).status]).toEqual([503, 200]);
  });

  test('faults of one organization leave others alone', async () => {
    const rival = await server.newOrganization();
    await lab.faults.add({ action: { status: 503 } });
    const asRival = clientOf(rival.url, rival.apiKey);
    expect((await asRival('GET', '/data_entries/')).status).toBe(200);
    expect((await send('GET', '/data_entries/')).status).toBe(503);
  });

  test('the first rule that hits is the one; what stands behind it does not see the request', async () => {
    const first = await lab.faults.add({ times: 1, action: { status: 503 } });
    const second = await lab.faults.add({ action: { status: 500 } });
    expect(await statuses(2)).toEqual([503, 500]);
    const counts = (await server.faults.list()).map(({ id, matched, hit }) => [id, matched, hit]);
    expect(counts).toEqual([
      [first.id, 2, 1],
      [second.id, 1, 1],
    ]);
    await server.faults.remove(second.id);
    expect((await chunk(9)).status).toBe(201);
  });
});

test('a rule that contradicts itself is refused, and says why', async () => {
  const refused = async (rule: object) => {
    const answer = await send('POST', '/_test/faults', rule);
    return [answer.status, JSON.stringify(answer.json)];
  };
  expect(await refused({ action: { status: 503 }, nth: 1, times: 2 })).toEqual([
    422,
    expect.stringContaining('nth and times'),
  ]);
  const cutBefore = { when: 'before', action: { truncate_bytes: 3 } };
  expect(await refused(cutBefore)).toEqual([422, expect.stringContaining('only after_commit')]);
  for (const rule of [
    {},
    { action: {} },
    { action: { status: 99 } },
    { action: { status: 503, hang: true } },
    { action: { status: 503 }, mach: {} },
    { action: { status: 503 }, match: { chanel: 'x' } },
    { action: { status: 503 }, nth: 0 },
    { action: { status: 503 }, probability: 2 },
  ]) {
    expect([rule, (await refused(rule))[0]]).toEqual([rule, 422]);
  }
  expect((await send('DELETE', '/_test/faults/999')).status).toBe(404);
});
