import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import type { App } from '../../src/http/app-type.ts';
import { docsPageRoutes } from '../../src/http/docs-page.ts';
import { answerErrors } from '../../src/http/error-handler.ts';
import { exampleBodies, exampleId, exampleKey } from '../../src/http/openapi-examples.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());

const read = (path: string) => server.get(path, null);
const linksOf = (html: string) => [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, link]) => link as string);

describe.each(['/docs', '/docs/', '//docs//', '/docs?tab=1'])('%s', (path) => {
  test('is a page whose links all load, from this server, without a key', async () => {
    const { status, headers, text } = await read(path);
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    const links = linksOf(text).filter((link) => link !== 'data:,');
    expect(links).toHaveLength(5);
    for (const link of links) {
      // As a browser resolves it, also below the prefix of a proxy.
      const behindProxy = `http://lab${`/prefix${path}`.replace(/\/+/g, '/')}`;
      const { host, pathname } = new URL(link, behindProxy);
      expect([link, host]).toEqual([link, 'lab']);
      const answer = await read(pathname.replace('/prefix', ''));
      expect([link, answer.status]).toEqual([link, 200]);
    }
  });
});

test('nothing of it asks for another host, and the browser is told to refuse that', async () => {
  const { headers } = await read('/docs');
  const policy = String(headers['content-security-policy']);
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/https?:|\*|unsafe-eval|script-src[^;]*unsafe/);
  expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
  for (const own of ['/docs', '/docs/page.js', '/docs/page.css']) expect((await read(own)).text).not.toMatch(/https?:/);
  const style = (await read('/docs/swagger-ui.css')).text;
  const fetched = [...style.matchAll(/@import|url\(["']?([^"')]{0,20})/g)].map(([, target = '@import']) => target);
  expect(fetched.length).toBeGreaterThan(0);
  expect(fetched.filter((target) => !target.startsWith('data:'))).toEqual([]);
});

test('the page shows the document of this server, with requests that go to it', async () => {
  const script = (await read('/docs/page.js')).text;
  const calls: { url?: string; plugins?: (() => Plugin)[] }[] = [];
  const at = { currentScript: { src: 'https://lab/prefix/docs/page.js' } };
  new Function('document', 'SwaggerUIBundle', script)(at, (options: object) => calls.push(options));
  expect(calls[0]?.url).toBe('https://lab/prefix/openapi.yaml');
  const plugin = calls[0]?.plugins?.[0] as () => Plugin;
  const { updateJsonSpec } = plugin().statePlugins.spec.wrapActions;
  const shown = updateJsonSpec((document) => document)(parse((await read('/openapi.yaml')).text)) as OpenApi;
  expect(shown.servers).toEqual([{ url: 'https://lab/prefix', description: 'this server' }]);
  const parameters = shown.paths['/data_entries/']?.get?.parameters ?? [];
  expect(parameters.length).toBeGreaterThan(5);
  expect(parameters.filter((one) => 'example' in one)).toEqual([]);
  expect(parameters.map(({ description }) => description).join()).toContain('such as 2026-01-31 08:00:00');
});

interface Plugin {
  statePlugins: {
    spec: { wrapActions: { updateJsonSpec: (update: (document: object) => object) => (document: object) => object } };
  };
}
interface OpenApi {
  servers: object[];
  paths: Record<string, Record<string, { parameters?: { description: string }[]; requestBody?: object }>>;
}

test('an asset that the browser has is not sent again', async () => {
  const { headers } = await read('/docs/swagger-ui-bundle.js');
  const again = await server.app.inject({
    url: '/docs/swagger-ui-bundle.js',
    headers: { 'if-none-match': String(headers.etag) },
  });
  expect([again.statusCode, again.payload]).toEqual([304, '']);
});

describe('where the files of a build are missing', () => {
  async function docsOf(folder: string) {
    const app: App = Fastify();
    onTestFinished(() => app.close());
    answerErrors(app);
    docsPageRoutes(app, pathToFileURL(`${folder}/`));
    return (name: string, encoding = '') =>
      app.inject({ url: `/docs${name}`, headers: { 'accept-encoding': encoding } });
  }

  test('the document is there, and they are not: nothing is said of a database', async () => {
    const read = await docsOf('/nowhere/at/all');
    expect((await read('')).statusCode).toBe(200);
    for (const name of ['/swagger-ui.css', '/swagger-ui-bundle.js']) {
      const { statusCode, payload } = await read(name);
      expect([statusCode, JSON.parse(payload)]).toEqual([404, { detail: 'page not found' }]);
    }
  });

  test('a folder that cannot be read is an internal error, and is read when it can be', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'metrology-docs-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    // A folder of the name of a file cannot be read as one, whoever reads it.
    await mkdir(join(folder, 'swagger-ui.css'));
    const read = await docsOf(folder);
    const { statusCode, payload } = await read('/swagger-ui.css');
    expect(statusCode).toBe(500);
    expect(payload).not.toMatch(/database|EISDIR/);
    await rm(join(folder, 'swagger-ui.css'), { recursive: true });
    await writeFile(join(folder, 'swagger-ui.css'), 'body {}');
    await writeFile(join(folder, 'swagger-ui.css.gz'), gzipSync('body {}'));
    expect((await read('/swagger-ui.css')).payload).toBe('body {}');
    const compressed = await read('/swagger-ui.css', 'gzip');
    expect(gunzipSync(compressed.rawPayload).toString()).toBe('body {}');
    expect(compressed.headers).toMatchObject({ 'content-type': 'text/css; charset=utf-8', vary: 'accept-encoding' });
    // What else lies there is not served.
    expect((await read('/LICENSE')).statusCode).toBe(404);
  });
});

test('every body of the document has an example, and each is taken as it stands but for the ids', async () => {
  const { paths } = parse((await read('/openapi.yaml')).text) as OpenApi;
  const post = async (path: string, ids: Record<string, string> = {}) => {
    const operation = paths[path]?.post;
    const body = operation?.requestBody as { content: { 'application/json': { example: object } } };
    const key = { data_ids: ids.data, data_id: ids.data, tag_ids: ids.tag, physical_sample_id: ids.sample };
    const text = JSON.stringify(body.content['application/json'].example, (name, value) => {
      if (value === exampleKey) return server.keys.ada;
      const id = key[name as keyof typeof key];
      return Array.isArray(value) && value[0] === exampleId ? [id] : value === exampleId ? id : value;
    });
    const [, name] = /\{(.*)\}/.exec(path) ?? [];
    const inPath = name === 'data_id' ? ids.data : name === 'key_id' ? ids.key : ids.project;
    const answer = await server.post(path.replace(/\{.*\}/, inPath ?? ''), text);
    expect(answer.status, `${path} ${answer.text}`).toBeLessThan(300);
    return answer.json;
  };
  const { data_id: data } = await post('/metrology/stream/initialize');
  const { id: sample } = await post('/physical_samples/');
  const { id: project } = await post('/projects/');
  const { id: tag } = await post('/tags/');
  const { key_id: key } = await post('/keys/');
  const ids = { data, sample, project, tag, key };
  // What the example of a chunk replaces is what the example of a restore puts back.
  const older = { data_id: data, chunk_index: 0, channel_name: 'thickness', timestamps: [1], values: [1] };
  await server.post('/metrology/stream/chunk', older);
  const withBodies = Object.keys(paths).filter((path) => paths[path]?.post?.requestBody);
  expect(withBodies.length).toBeGreaterThan(10);
  for (const path of withBodies) await post(path, ids);
  const unused = Object.keys(exampleBodies).filter((end) => !withBodies.some((path) => path.endsWith(end)));
  expect(unused).toEqual([]);
});
