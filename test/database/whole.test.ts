import { afterAll, beforeAll, expect, test } from 'vitest';
import { findOrganizationByName, findUser } from '../../src/auth/people-store.ts';
import type { Database } from '../../src/database/database.ts';
import { inTransaction } from '../../src/database/transactions.ts';
import { inOneTransaction } from '../../src/database/whole.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());

const lock = 77;
const keptWhole = <Result>(work: (whole: Database) => Promise<Result>) =>
  inOneTransaction(server.database, { lock, isKept: true }, work);

const look = `select current_user::text as role, (select count(*)::integer from users) as seen, txid_current()::text as transaction`;

test('each way has the role and the rows that it has elsewhere, also after the others, in one transaction', async () => {
  const { id } = (await findOrganizationByName(server.database, 'lab')) as { id: string };
  const looks = await keptWhole(async (whole) => {
    const upkeep = async () => (await whole.everyOrganization.upkeep.pool.query(look)).rows[0];
    const own = async () => (await whole.as(id).pool.query(look)).rows[0];
    const nested = () => inTransaction(whole.as(id).pool, async (client) => (await client.query(look)).rows[0]);
    return [await upkeep(), await own(), await upkeep(), await nested(), await upkeep()];
  });
  expect(looks.map(({ role }) => role.replace('metrology_', ''))).toEqual([
    'service',
    'api',
    'service',
    'api',
    'service',
  ]);
  const [all] = looks;
  expect(all.seen).toBeGreaterThan(2);
  expect(looks.map(({ seen }) => seen)).toEqual([all.seen, 2, all.seen, 2, all.seen]);
  expect(new Set(looks.map(({ transaction }) => transaction)).size).toBe(1);
});

test('an error rolls back what inner transactions had done, and the connection is as before', async () => {
  const { id } = (await findOrganizationByName(server.database, 'lab')) as { id: string };
  const insert = (whole: Database) =>
    inTransaction(whole.everyOrganization.upkeep.pool, (client) =>
      client.query(`insert into users (organization_id, name) values ($1::uuid, 'nobody')`, [id]),
    );
  const failing = keptWhole(async (whole) => {
    await insert(whole);
    await whole.as(id).pool.query('select 1 / 0');
  });
  await expect(failing).rejects.toThrow('division by zero');
  expect(
    await inOneTransaction(server.database, { lock, isKept: false }, async (whole) => (await insert(whole)).rowCount),
  ).toBe(1);
  expect(await findUser(server.database, id, 'nobody')).toBeUndefined();
  const { rows } = await server.database.everyOrganization.upkeep.pool.query('select current_user::text as role');
  expect(rows).toEqual([{ role: 'metrology_service' }]);
});
