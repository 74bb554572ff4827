import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConfigSchema } from '../src/config.ts';
import { startTestServer, type TestServer } from './support/test-server.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const run = promisify(execFile);

let server: TestServer;
let url: string;
beforeAll(async () => {
  server = await startTestServer();
  await server.app.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${(server.app.server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

test('every curl of the README is answered 2xx', async () => {
  const block = [...readme.matchAll(/```sh\n(.*?)```/gs)]
    .map(([, text]) => text as string)
    .find((text) => text.includes('api()'));
  const env = { ...process.env, AS_API_ENDPOINT: url, AS_API_KEY: server.keys.ada };
  const { stdout } = await run('bash', ['-eu', '-c', block as string], { env });
  expect(stdout).toContain('"total_points":4');
  expect(stdout).toContain('"deposition_rate"');
  expect(stdout).toContain('openapi: 3.1.0');
});

test('the table of settings has every setting with its default', () => {
  for (const [name, { default: fallback }] of Object.entries(ConfigSchema.properties)) {
    const shown = fallback === undefined ? '' : `\`${fallback}\` `;
    expect(readme, name).toContain(`| \`${name}\` | ${shown}|`);
  }
});
