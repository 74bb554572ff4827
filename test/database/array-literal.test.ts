import { afterAll, beforeAll, expect, test } from 'vitest';
import { plainArray, textArray } from '../../src/database/array-literal.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

async function asRead(literal: string, type: string): Promise<unknown> {
  const { rows } = await server.owner.pool.query(`select array_to_json($1::${type}[]) as read`, [literal]);
  return rows[0].read;
}

test('PostgreSQL reads any text as it was', async () => {
  const texts = [
    '',
    ' ',
    'plain',
    'a,b',
    '{}',
    '"',
    '\\',
    '\\"',
    'NULL',
    'null',
    "'",
    'µm\n\t',
    '🌱',
    null,
    '{"a":[1]}',
  ];
  expect(await asRead(textArray(texts), 'text')).toEqual(texts);
  expect(await asRead(textArray([]), 'text')).toEqual([]);
});

test('and numbers and ids', async () => {
  const id = '00000000-0000-4000-8000-00000000000a';
  expect(await asRead(plainArray([id, id]), 'uuid')).toEqual([id, id]);
  expect(await asRead(plainArray([0, 2 ** 53 - 1]), 'bigint')).toEqual([0, 2 ** 53 - 1]);
  expect(await asRead(plainArray([1.5e-9, 12.25, 1e21]), 'float8')).toEqual([1.5e-9, 12.25, 1e21]);
  expect(await asRead(plainArray([]), 'uuid')).toEqual([]);
});
