import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureUser } from '../../src/auth/people-store.ts';
import { findOrInsertTag, nextTags } from '../../src/catalogue/tags/store.ts';
import { openDatabase } from '../../src/database/database.ts';
import type { OrganizationDatabase } from '../../src/database/organizations.ts';
import { loginOf } from '../support/global-setup.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
let lab: OrganizationDatabase;
let rival: OrganizationDatabase;
beforeAll(async () => {
  server = await startTestServer();
  const ada = await ensureUser(server.database, 'lab', 'ada');
  const eve = await ensureUser(server.database, 'rival', 'eve');
  lab = server.database.as(ada.organization_id);
  rival = server.database.as(eve.organization_id);
  await findOrInsertTag(lab, ada.user_id, 'ours');
  await findOrInsertTag(rival, eve.user_id, 'theirs');
});
afterAll(() => server?.close());

const patience = { lateAnswerMs: 3_000, lookMsMax: 1_000 };
const allTags = 'select name from tags order by name';

test('a handle shows the rows of its organization by each of its ways, whatever a statement asks for', async () => {
  const byPool = await lab.pool.query(allTags);
  const byKysely = await sql.raw(allTags).execute(lab.kysely);
  const byIngest = await lab.runAsIngest({ text: allTags }, patience);
  expect([byPool, byKysely, byIngest].map(({ rows }) => rows)).toEqual(Array(3).fill([{ name: 'ours' }]));
});

test('handles of several organizations work side by side, each for as long as it likes', async () => {
  const names = (organization: OrganizationDatabase) =>
    Promise.all([
      nextTags(organization, undefined, 9).then(([tag]) => tag?.name),
      organization.runAsIngest<{ name: string }>({ text: allTags }, patience).then(({ rows }) => rows[0]?.name),
    ]);
  const turns = await Promise.all(Array.from({ length: 40 }, (_, i) => names(i % 2 === 0 ? lab : rival)));
  expect(turns).toEqual(turns.map((_, i) => (i % 2 === 0 ? ['ours', 'ours'] : ['theirs', 'theirs'])));
});

test('what opens and finalizes streams goes on while reads hold every connection of their organization', async () => {
  const small = openDatabase(loginOf(server.databaseUrl), { poolMax: 2, onIdleError: () => {} });
  try {
    const organization = small.as(lab.organizationId);
    const client = await organization.pool.connect();
    const waiting = organization.pool.query('select 1');
    const answer = await organization.runAsIngest({ text: allTags }, patience);
    expect(answer.rows).toEqual([{ name: 'ours' }]);
    client.release();
    await waiting;
  } finally {
    await small.close();
  }
});

test('no store can be called with anything but a handle that the database has made: the types say so', () => {
  const { organizationId, pool, kysely, runAsIngest } = lab;
  const notCalled = [
    // @ts-expect-error the whole database shows no organization's tags
    () => nextTags(server.database, undefined, 9),
    // @ts-expect-error what sees every organization is no handle
    () => nextTags(server.database.everyOrganization.upkeep, undefined, 9),
    // @ts-expect-error nobody puts an organization and a pool together by hand
    () => nextTags({ organizationId, pool, kysely, runAsIngest }, undefined, 9),
  ];
  expect(notCalled).toHaveLength(3);
});
