import { readFileSync } from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { testOpenapiYaml } from '../../src/testing/openapi.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

const committed = readFileSync(new URL('../../openapi.test.yaml', import.meta.url), 'utf8');
const operations = Object.entries(parse(committed).paths as Record<string, object>).flatMap(([path, methods]) =>
  Object.keys(methods).map((method) => [method.toUpperCase(), path] as const),
);

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

test('openapi.test.yaml is what the control routes say; npm run openapi renews it', async () => {
  expect(committed).toBe(await testOpenapiYaml());
  expect(await new Validator().validate(parse(committed))).toEqual({ valid: true });
  expect(operations.length).toBeGreaterThan(9);
});

test('an ordinary server has none of them, under whatever key, and its document knows none', async () => {
  for (const [method, path] of operations) {
    const url = path.replace('{id}', '1');
    for (const key of [server.keys.ada, null]) {
      const { status } = await server.send(method, url, method === 'POST' ? {} : undefined, key);
      expect([method, path, status]).toEqual([method, path, 404]);
    }
  }
  expect(readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8')).not.toContain('_test');
});
