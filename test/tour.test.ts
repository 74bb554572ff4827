import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from './support/test-server.ts';

const tour = readFileSync(new URL('../docs/tour.md', import.meta.url), 'utf8');
const run = promisify(execFile);

let server: TestServer;
let url: string;
beforeAll(async () => {
  server = await startTestServer();
  await server.app.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${(server.app.server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

test('every curl of docs/tour.md is answered 2xx', async () => {
  const block = [...tour.matchAll(/```sh\n(.*?)```/gs)]
    .map(([, text]) => text as string)
    .find((text) => text.includes('api()'));
  const env = { ...process.env, AS_API_ENDPOINT: url, AS_API_KEY: server.keys.ada };
  const { stdout } = await run('bash', ['-eu', '-c', block as string], { env });
  expect(stdout).toContain('"total_points":4');
  expect(stdout).toContain('"deposition_rate"');
  expect(stdout).toContain('openapi: 3.1.0');
});
