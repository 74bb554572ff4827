import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bigintArray, uuidArray } from '../../src/database/binary-array.ts';
import { type OwnerDatabase, openAsOwner } from '../../src/database/database.ts';
import { cloneDatabase } from '../support/test-server.ts';

let database: OwnerDatabase;
beforeAll(async () => {
  database = openAsOwner(await cloneDatabase(), { onIdleError: () => {} });
});
afterAll(() => database?.close());

async function asRead(parameter: unknown, type: string): Promise<unknown> {
  const { rows } = await database.pool.query(
    `select array_to_json($1::${type}[]::text[]) as read, cardinality($1::${type}[]) as count`,
    [parameter],
  );
  expect(rows[0].count).toBe((rows[0].read as unknown[]).length);
  return rows[0].read;
}

test('PostgreSQL reads UUIDs as they were', async () => {
  const uuids = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'];
  for (let i = 0; i < 200; i++) uuids.push(randomUUID());
  expect(uuidArray(uuids)).toBeInstanceOf(Buffer);
  expect(await asRead(uuidArray(uuids), 'uuid')).toEqual(uuids);
  expect(await asRead(uuidArray(uuids.map((uuid) => uuid.toUpperCase())), 'uuid')).toEqual(uuids);
  expect(await asRead(uuidArray([]), 'uuid')).toEqual([]);
});

test('what is written otherwise is PostgreSQL to judge', async () => {
  const uuid = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
  for (const one of [uuid.replaceAll('-', ''), `{${uuid}}`.slice(1, -1).replace('-', '')]) {
    expect(typeof uuidArray([one])).toBe('string');
    expect(await asRead(uuidArray([uuid, one]), 'uuid')).toEqual([uuid, uuid]);
  }
  for (const one of [
    `${uuid.slice(0, -1)}g`,
    uuid.replace('-', '_'),
    'µ'.repeat(36),
    '',
    `${uuid.slice(0, -1)}\u1234`,
  ]) {
    await expect(asRead(uuidArray([one]), 'uuid')).rejects.toMatchObject({ code: '22P02' });
  }
});

test('PostgreSQL reads whole numbers as they were', async () => {
  const bounds = [0, 1, 255, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52 + 1, 2 ** 53 - 1];
  const numbers = bounds.flatMap((bound) => [bound, 0 - bound]);
  expect(await asRead(bigintArray(numbers), 'bigint')).toEqual(numbers.map((number) => String(number)));
  expect(await asRead(bigintArray([]), 'bigint')).toEqual([]);
});
