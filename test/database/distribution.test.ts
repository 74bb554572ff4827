import { afterAll, beforeAll, expect, test } from 'vitest';
import { type OwnerDatabase, openAsOwner } from '../../src/database/database.ts';
import { clusterTables } from '../../src/database/distribution.ts';
import { cloneDatabase } from '../support/test-server.ts';

let owner: OwnerDatabase;
beforeAll(async () => {
  owner = openAsOwner(await cloneDatabase(), { onIdleError: () => {} });
});
afterAll(() => owner?.close());

test('every table has a place in a cluster, and one only', async () => {
  const { rows } = await owner.pool.query<{ name: string }>(
    `select relname::text as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace`,
  );
  expect(Object.values(clusterTables).flat().sort()).toEqual(rows.map(({ name }) => name).sort());
});

test('a table that is divided by stream has data_id in each of its keys', async () => {
  const { rows } = await owner.pool.query<{ key: string }>(
    `select format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) as key from pg_constraint
     where conrelid = any ($1::regclass[]) and contype in ('p', 'u') and not 'data_id' = any (
       select attname from pg_attribute where attrelid = conrelid and attnum = any (conkey))`,
    [clusterTables.distributed],
  );
  // distribute gives this table another key.
  expect(rows.map(({ key }) => key)).toEqual(['processed_data_entries PRIMARY KEY (processed_data_id)']);
});
