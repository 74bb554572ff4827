import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../../../src/config.ts';
import { httpLimits } from '../../../src/http/limits.ts';
import { openConnection } from '../../http/support/listening-app.ts';
import { type Bench, chunkOf, openStream, storedChunks } from './bench.ts';
import type { Engine } from './proxies.ts';
import type { Caller } from './requests.ts';

const bodyLimit = readConfig({}).BODY_LIMIT_BYTES;
const mebibyte = 1024 * 1024;
const connections = 1_000;
/** Just under this nginx begins to refuse by itself. */
const nginxBodyMax = 64 * mebibyte;

/** What passes through a proxy, and how: everything that needs the real server and leaves it running. */
export function describeRequests(engine: Engine, bench: Bench): void {
  describe(`requests through ${engine}`, () => {
    test('every route, however its slashes are written, is answered as without the proxy and never by a redirect', async () => {
      const { text } = await bench.direct.send({ path: '/openapi.yaml' });
      const routes = routesOf(parse(text));
      expect(routes.length).toBeGreaterThan(35);
      const forms = routes.flatMap(({ method, path }) => spellings(path).map((form) => ({ method, form })));
      for (const [name, client] of [
        ['http', bench.http],
        ['https', bench.https],
      ] as const) {
        const wrong = await inTurns(forms, 8, async ({ method, form }) => {
          const direct = (await statusOf(bench.direct, method, form)).split(' ')[0];
          const through = await statusOf(client, method, form);
          const below = await statusOf(client, method, `/lab${form}`);
          return through === direct && below === direct
            ? []
            : [`${name} ${method} ${form}: ${direct} ${through} ${below}`];
        });
        expect(wrong.flat()).toEqual([]);
      }
    });

    test('the bare prefix is no redirect either, and a path that only begins like it is left alone', async () => {
      const roots = ['/', '//', '/lab', '/lab/', '/lab//'].map((path) => [path, 200, 'openapi'] as const);
      const others = ['/labs/healthz', '/lab/nowhere', '/laboratory'].map((path) => [path, 404, 'detail'] as const);
      for (const [path, expected, field] of [...roots, ...others]) {
        for (const client of [bench.http, bench.https]) {
          const { status, headers, text } = await client.send({ path });
          expect(status, path).toBe(expected);
          expect(headers.location).toBeUndefined();
          expect(JSON.parse(text)).toHaveProperty(field);
        }
      }
    });

    test('a stream through each of the forms that an endpoint takes', async () => {
      for (const client of [bench.http, bench.https]) {
        for (const base of ['', '/', '/lab', '/lab/', '/lab//']) {
          const opened = await client.send({
            path: `${base}/tool-state/stream/initialize`,
            body: { points_per_chunk: 1 },
          });
          expect(opened.status, base).toBe(200);
          const { data_id: dataId } = JSON.parse(opened.text) as { data_id: string };
          const sent = await client.send({ path: `${base}/tool-state/stream/chunk`, body: chunkOf(dataId, 3) });
          expect(sent.status, base).toBe(201);
          const ended = await client.send({ method: 'POST', path: `${base}/tool-state/stream/${dataId}/finalize` });
          expect(ended.status, base).toBe(200);
          expect(await storedChunks(bench, dataId)).toEqual([[3, [3.5]]]);
        }
      }
    });

    test('a search by 1,000 ids in one request line', async () => {
      const dataId = await openStream(bench.http);
      const others = Array.from({ length: 999 }, () => crypto.randomUUID());
      const query = [...others, dataId].map((id) => `data_ids=${id}`).join('&');
      for (const path of [`/data_entries/?${query}`, `/lab/data_entries/?${query}`]) {
        const { status, text } = await bench.http.send({ path });
        expect(status).toBe(200);
        expect((JSON.parse(text) as { data_id: string }[]).map((row) => row.data_id)).toEqual([dataId]);
      }
    });

    test('the address of a file to download leads back through the proxy', async () => {
      const dataId = await openStream(bench.http);
      for (const [scheme, client] of [
        ['http', bench.http],
        ['https', bench.https],
      ] as const) {
        for (const base of ['', '/lab']) {
          const { text } = await client.send({
            path: `${base}/data_entries/raw_data/${dataId}?return_as=url-download`,
            headers: { host: 'metrology.lab.internal:8443', 'x-forwarded-proto': 'gopher' },
          });
          const { url } = JSON.parse(text) as { url: string };
          expect(url.startsWith(`${scheme}://metrology.lab.internal:8443/exports/${dataId}?`), url).toBe(true);
          const file = await client.send({ path: url.slice(`${scheme}://metrology.lab.internal:8443`.length) });
          expect(file.text).toMatch(/^channel_name,/);
        }
      }
    });

    test('/metrics asks for a key', async () => {
      const without = (headers = {}) => bench.http.send({ path: '/metrics', headers: { 'x-api-key': '', ...headers } });
      expect((await bench.direct.send({ path: '/metrics', headers: { 'x-api-key': '' } })).status).toBe(401);
      expect((await without()).status).toBe(401);
      expect((await without({ 'x-forwarded-for': '127.0.0.1' })).status).toBe(401);
      expect((await bench.http.send({ path: '/lab/metrics', headers: { 'x-api-key': '' } })).status).toBe(401);
      expect((await bench.https.send({ path: '/metrics' })).status).toBe(200);
    });

    test('a body just under BODY_LIMIT_BYTES is stored', async () => {
      const dataId = await openStream(bench.http);
      for (const [index, path] of ['/tool-state/stream/chunk', '/lab//tool-state/stream/chunk'].entries()) {
        const body = JSON.stringify(chunkOf(dataId, index)).padEnd(bodyLimit, ' ');
        const { status } = await (index === 0 ? bench.http : bench.https).send({ path, body });
        expect(status).toBe(201);
      }
      expect(await storedChunks(bench, dataId)).toHaveLength(2);
    });

    test("a body over it: a client that reads only when it has sent all reads the server's 413", async () => {
      const answer = await postWhole(bench, bodyLimit + 1);
      expect(answer.status).toBe(413);
      expect(JSON.parse(answer.body).detail).toContain(`${bodyLimit} bytes (BODY_LIMIT_BYTES)`);
      const larger = await postWhole(bench, nginxBodyMax + mebibyte);
      expect(larger.status).toBe(413);
      const whose = engine === 'nginx' ? 'client_max_body_size' : 'BODY_LIMIT_BYTES';
      expect(JSON.parse(larger.body).detail).toContain(whose);
    });

    test('and so does one that announces Expect: 100-continue and does not wait', async () => {
      for (const key of [bench.key, 'nobody']) {
        const answer = await postWhole(bench, bodyLimit + 1, { key, headers: 'Expect: 100-continue\r\n' });
        expect(answer.status).toBe(key === bench.key ? 413 : 401);
        expect(JSON.parse(answer.body)).toHaveProperty('detail');
      }
    });

    test(`${connections} connections at once, each with a chunk: all acknowledged and stored`, async () => {
      for (const [name, client] of [
        ['http', bench.http],
        ['https', bench.https],
      ] as const) {
        const dataId = await openStream(bench.direct);
        client.close();
        const startedAt = performance.now();
        const answers = await Promise.all(
          Array.from({ length: connections }, (_, index) =>
            client.send({ path: '/lab/tool-state/stream/chunk', body: chunkOf(dataId, index) }),
          ),
        );
        console.info(
          `${engine} ${name}: ${connections} connections in ${Math.round(performance.now() - startedAt)} ms`,
        );
        expect(countBy(answers.map(({ status }) => status))).toEqual({ 201: connections });
        expect(new Set(answers.map(({ clientPort }) => clientPort)).size).toBe(connections);
        const expected = Array.from({ length: connections }, (_, index) => [index, [index + 0.5]]);
        expect(await storedChunks(bench, dataId)).toEqual(expected);
        client.close();
      }
    });

    test('a long read by a slow client comes whole, and through no file', async () => {
      const dataId = await openStream(bench.http, 50_000);
      for (let index = 0; index < 8; index++) {
        const timestamps = Array.from({ length: 50_000 }, (_, i) => 1_700_000_000 + index * 50_000 + i);
        const body = { ...chunkOf(dataId, index), timestamps, values: timestamps.map((t) => Math.sin(t)) };
        expect((await bench.http.send({ path: '/tool-state/stream/chunk', body })).status).toBe(201);
      }
      const path = `/tool-state/${dataId}/timeseries/`;
      const whole = await bench.direct.send({ path });
      const message = await bench.http.open({ path: `/lab${path}` });
      const hash = createHash('sha256');
      let bytes = 0;
      for await (const part of message) {
        hash.update(part as Buffer);
        bytes += (part as Buffer).length;
        // About 8 MB/s: the answer takes seconds, and fills every buffer on its way.
        await sleep((part as Buffer).length / 8_000);
      }
      expect(message.complete).toBe(true);
      expect(bytes).toBeGreaterThan(15 * mebibyte);
      expect(hash.digest('hex')).toBe(createHash('sha256').update(whole.text).digest('hex'));
      // nginx says so when it does; the file itself has no name that could be looked for.
      expect(bench.proxy.logged()).not.toMatch(/upstream response is buffered to a temporary file/);
    });

    test('the server takes bodies larger than the proxy lets through, not the other way round', () => {
      expect(nginxBodyMax).toBeGreaterThan(bodyLimit);
      expect(nginxBodyMax).toBeLessThan(bodyLimit + httpLimits.bodyDrainBytesMax);
    });
  });
}

interface Route {
  method: string;
  path: string;
}

/** All routes of the OpenAPI document, with an id of nothing in the place of each parameter. */
function routesOf(document: { paths: Record<string, Record<string, unknown>> }): Route[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item)
      .filter((method) => /^(get|post|put|patch|delete)$/.test(method))
      .map((method) => ({
        method: method.toUpperCase(),
        path: path.replace(/\{[^}]+\}/g, '00000000-0000-4000-8000-000000000000'),
      })),
  );
}

/** With and without a slash at the end, with doubled slashes at the front and everywhere. */
function spellings(path: string): string[] {
  const bare = path.replace(/\/$/, '');
  return [bare, `${bare}/`, `/${bare}`, `${bare.replaceAll('/', '//')}//`];
}

/** The status, and what a redirect would add to it. */
async function statusOf(client: Caller, method: string, path: string): Promise<string> {
  const body = method === 'GET' || method === 'DELETE' ? {} : { body: {} };
  // The list of runs would be followed for ever.
  const query = /\/live\/*$/.test(path) ? '?max_seconds=0' : '';
  const { status, headers } = await client.send({ method, path: `${path}${query}`, ...body });
  return headers.location === undefined ? String(status) : `${status} to ${headers.location}`;
}

async function inTurns<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const rest = items.entries();
  const worker = async () => {
    for (const [index, item] of rest) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

async function postWhole(bench: Bench, bytes: number, { key = bench.key, headers = '' } = {}) {
  const connection = await openConnection(bench.proxy.http, { sendsOn: true });
  await connection.send(
    `POST /tool-state/stream/chunk HTTP/1.1\r\nHost: x\r\nX-API-KEY: ${key}\r\n${headers}` +
      `Content-Type: application/json\r\nContent-Length: ${bytes}\r\n\r\n`,
  );
  await connection.send(Buffer.alloc(bytes, ' '));
  let answer = await connection.answer();
  while (answer.status === 100) answer = await connection.answer();
  connection.socket.destroy();
  return answer;
}

function countBy(values: readonly number[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}
