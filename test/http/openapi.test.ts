import { readFileSync } from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { openapiYaml } from '../../src/http/openapi.ts';
import { packageCommit } from '../../src/lib/package-info.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  await server.app.ready();
});
afterAll(() => server.close());

const committed = readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8');

test('openapi.yaml is what the routes say; npm run openapi renews it', () => {
  expect(committed).toBe(openapiYaml(server.app));
});

test('it is valid OpenAPI 3.1 to an independent validator, which refuses a broken one', async () => {
  const validator = new Validator();
  expect(await validator.validate(parse(committed))).toEqual({ valid: true });
  expect(validator.version).toBe('3.1');
  const broken = parse(committed);
  broken.paths['/healthz'].get.responses = [];
  expect((await new Validator().validate(broken)).valid).toBe(false);
});

test('the server hands it out without a key, with the commit of its build, which a committed file cannot name', async () => {
  const { status, text, headers } = await server.get('/openapi.yaml', null);
  expect([status, headers['content-type']]).toEqual([200, 'application/yaml']);
  const line = `  x-commit: "${packageCommit}"`;
  expect(text.split('\n').filter((one) => one !== line)).toEqual(committed.split('\n'));
  expect(parse(text).info).toEqual({ ...parse(committed).info, 'x-commit': packageCommit });
});

test('every operation says what it answers, and needs the key unless it is open', () => {
  const { paths } = parse(committed) as { paths: Record<string, Record<string, Operation>> };
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, { summary, responses, security }] of Object.entries(operations)) {
      const name = `${method} ${path}`;
      expect(summary, name).toBeTruthy();
      const isOpen = security?.length === 0;
      expect([name, Object.hasOwn(responses, '401')]).toEqual([name, !isOpen || /^\/(metrics|session)$/.test(path)]);
      const descriptions = Object.values(responses).map(({ description }) => description);
      expect([name, descriptions.filter((text) => text === 'Default Response' || !text)]).toEqual([name, []]);
    }
  }
});

test('a path that cannot be decoded is 400 wherever a path has a parameter, and so is a broken body of a DELETE', async () => {
  const { paths } = parse(committed) as { paths: Record<string, Record<string, Operation>> };
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, { responses }] of Object.entries(operations)) {
      const wrong = path.replace(/\{\w+\}/g, '%ed%a0%80');
      if (wrong === path && method !== 'delete') continue;
      const { status } = await server.send(method.toUpperCase(), wrong, method === 'get' ? undefined : '{');
      expect([method, path, status, Object.hasOwn(responses, '400')]).toEqual([method, path, 400, true]);
    }
  }
});

test('a DELETE documents all that a body can be refused with', () => {
  const { paths } = parse(committed) as { paths: Record<string, Record<string, Operation>> };
  const deletions = Object.values(paths).flatMap(({ delete: deletion }) => (deletion ? [deletion] : []));
  expect(deletions).toHaveLength(7);
  for (const { responses } of deletions) {
    expect(Object.keys(responses)).toEqual(expect.arrayContaining(['400', '408', '413', '415', '422']));
  }
});

interface Operation {
  summary?: string;
  responses: Record<string, { description: string }>;
  security?: unknown[];
}
