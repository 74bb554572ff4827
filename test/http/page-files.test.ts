import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wantsPage } from '../../src/http/accepted.ts';
import type { App } from '../../src/http/app-type.ts';
import { answerErrors } from '../../src/http/error-handler.ts';
import { pageRoutes } from '../../src/http/page-files.ts';
import { packageVersion } from '../../src/lib/package-info.ts';
import { ask } from './support/browser.ts';

const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8';
const script = `console.log(${JSON.stringify('x'.repeat(5_000))});\n`;

let folder: string;
const apps: App[] = [];
let port: number;

async function serve(path: string): Promise<number> {
  const routerOptions = { ignoreDuplicateSlashes: true, ignoreTrailingSlash: true };
  const app: App = Fastify({ exposeHeadRoutes: true, routerOptions });
  answerErrors(app);
  pageRoutes(app, pathToFileURL(`${path}/`));
  apps.push(app);
  await app.listen({ host: '127.0.0.1', port: 0 });
  return (app.server.address() as AddressInfo).port;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'metrology-page-'));
  const files = {
    'index.html': '<!doctype html><title>x</title>',
    'app-1A2B.js': script,
    'app-1A2B.js.br': brotliCompressSync(script),
    'app-1A2B.js.gz': gzipSync(script),
    'app-3C.css': 'body {}',
    'app-1A2B.js.map': '{}',
    'secret.txt': 'x',
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  port = await serve(folder);
});
afterAll(async () => {
  for (const app of apps) await app.close();
  await rm(folder, { recursive: true, force: true });
});

const get = (path: string, headers: Record<string, string> = {}, to = port) => ask(to, 'GET', path, { headers });

describe('/', () => {
  test('is the page for a browser, also with what the page keeps in its address', async () => {
    for (const path of ['/', '/?run=00000000-0000-4000-8000-000000000001&from=1&new=x', '//']) {
      const { status, headers, text } = await get(path, { accept: browser });
      expect([status, headers['content-type'], text]).toEqual([
        200,
        'text/html; charset=utf-8',
        '<!doctype html><title>x</title>',
      ]);
      expect(headers).toMatchObject({
        'cache-control': 'no-cache',
        vary: 'accept, accept-encoding',
        'referrer-policy': 'no-referrer',
      });
      expect(headers.ignored).toBeUndefined();
    }
  });

  test('lets the page run what comes from here, and nothing that stands in it', async () => {
    const { headers } = await get('/', { accept: browser });
    const policy = new Map(
      String(headers['content-security-policy'])
        .split('; ')
        .map((one) => one.split(/ (.*)/) as [string, string]),
    );
    expect(policy.get('default-src')).toBe("'none'");
    for (const kind of ['script-src', 'style-src', 'worker-src', 'connect-src'])
      expect([kind, policy.get(kind)]).toEqual([kind, "'self'"]);
    expect(policy.get('frame-ancestors')).toBe("'none'");
    expect([...policy.values()].join()).not.toMatch(/unsafe|https?:|\*/);
  });

  test('says to a program where things are', async () => {
    for (const accept of [undefined, '*/*', 'application/json', 'application/json, text/html;q=0.5', 'text/html;q=0']) {
      const { status, headers, json } = await get('/', accept === undefined ? {} : { accept });
      expect([accept, status, headers['content-type']]).toEqual([accept, 200, 'application/json; charset=utf-8']);
      expect(json).toMatchObject({
        name: 'metrology-server',
        version: packageVersion,
        docs: './docs',
        runs: './runs/',
      });
      expect(headers.vary).toBe('accept, accept-encoding');
    }
  });

  test('is for programs alone where no page was built', async () => {
    const without = await serve(join(folder, 'nowhere'));
    expect((await get('/', { accept: browser }, without)).json.name).toBe('metrology-server');
    expect((await get('/page/app-1A2B.js', {}, without)).status).toBe(404);
  });

  test.each([
    ['text/html', true],
    ['TEXT/HTML', true],
    ['text/html;q=0.8, application/json;q=0.8', true],
    ['text/html;q=0.7, application/json;q=0.8', false],
    ['text/html;q=0.0', false],
    ['text/*', false],
    ['', false],
  ])('%s', (accept, isPage) => expect(wantsPage(accept)).toBe(isPage));
});

describe('a file of the page', () => {
  test('is kept by the browser for ever, and comes compressed where that is taken', async () => {
    const decoders = { br: brotliDecompressSync, gzip: gunzipSync, identity: (bytes: Buffer) => bytes };
    const tags = new Set<unknown>();
    for (const [accepted, encoding] of [
      ['gzip, deflate, br, zstd', 'br'],
      ['gzip', 'gzip'],
      ['br;q=0, gzip;q=0.5', 'gzip'],
      ['zstd', 'identity'],
      ['', 'identity'],
    ] as const) {
      const { status, headers, bytes } = await get('/page/app-1A2B.js', { 'accept-encoding': accepted });
      expect([accepted, status, headers['content-encoding'] ?? 'identity']).toEqual([accepted, 200, encoding]);
      expect(decoders[encoding](bytes).toString()).toBe(script);
      expect(Number(headers['content-length'])).toBe(bytes.length);
      expect(headers).toMatchObject({
        'content-type': 'text/javascript; charset=utf-8',
        'cache-control': 'public, max-age=31536000, immutable',
        vary: 'accept-encoding',
        'cross-origin-resource-policy': 'same-origin',
      });
      tags.add(headers.etag);
      const known = await get('/page/app-1A2B.js', {
        'accept-encoding': accepted,
        'if-none-match': String(headers.etag),
      });
      expect([known.status, known.text]).toEqual([304, '']);
    }
    expect(tags.size).toBe(3);
    expect((await get('/page/app-3C.css', { 'accept-encoding': 'br' })).text).toBe('body {}');
    const head = await ask(port, 'HEAD', '/page/app-1A2B.js');
    expect([head.status, head.text, Number(head.headers['content-length'])]).toEqual([200, '', script.length]);
  });

  test.each([
    'index.html',
    'app-1A2B.js.map',
    'app-1A2B.js.br',
    'secret.txt',
    'other.js',
    '..%2fapp-3C.css',
    '%2e%2e%2f%2e%2e%2fpackage.json',
    '__proto__',
    'constructor',
  ])('is one that the page loads: %s is not there', async (name) => {
    const { status, json } = await get(`/page/${name}`);
    expect([status, json]).toEqual([404, { detail: 'page not found' }]);
  });
});
