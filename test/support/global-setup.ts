import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { openAsOwner } from '../../src/database/database.ts';
import { startEmbeddedPostgres } from '../../src/database/embedded.ts';
import { migrate } from '../../src/database/migrate.ts';
import { makeLogin, makeRoles } from '../../src/database/roles.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A database of the server that tests may use to make and drop others. */
    adminUrl: string;
    /** The migrated database that each test file clones. */
    templateName: string;
  }
}

const quiet = { info() {}, warn() {}, error() {} };

/** One PostgreSQL for the whole run (the embedded one, or DATABASE_URL) with one migrated database, and clones of that. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'metrology-test-'));
  const configured = process.env.DATABASE_URL;
  const embedded = configured ? undefined : await startEmbeddedPostgres({ dataDir, log: quiet });
  const adminUrl = configured ?? (embedded?.connectionString as string);
  const templateName = `metrology_test_${process.pid}`;
  await administer(adminUrl, `create database ${templateName}`);
  const template = openAsOwner(urlOfDatabase(adminUrl, templateName), { onIdleError: () => {} });
  await makeRoles(template);
  await migrate(template);
  // As after the first look of a server that finds no other of the release before.
  await template.pool.query(
    `update kysely_migration set release_before_serves = false where name = '0013_packed_series'`,
  );
  await makeLogin(template, loginOf(adminUrl), { ownsPassword: true });
  await template.close();
  project.provide('adminUrl', adminUrl);
  project.provide('templateName', templateName);
  return async () => {
    // All at the end: files made right after many others were removed cost ext4 a tenth of the run.
    if (embedded) await embedded.stop();
    else await dropDatabases(adminUrl, templateName);
    await rm(dataDir, { recursive: true, force: true });
  };
}

/**
 * The template, the databases whose names begin with its own and a line, and the roles with such a name in theirs; other runs may have
 * theirs on this PostgreSQL. To drop a database takes a checkpoint, which waits for all that the other tests write: so no test does it.
 */
async function dropDatabases(adminUrl: string, templateName: string): Promise<void> {
  const owner = openAsOwner(adminUrl, { onIdleError: () => {} });
  const statement = 'select datname from pg_database where datname = $1 or starts_with(datname, $2)';
  const { rows } = await owner.pool.query<{ datname: string }>(statement, [templateName, `${templateName}_`]);
  const roles = await owner.pool.query<{ rolname: string }>(
    'select rolname from pg_roles where position($1::text in rolname) > 0',
    [`${templateName}_`],
  );
  await owner.close();
  for (const { datname } of rows) await administer(adminUrl, `drop database ${datname} with (force)`);
  for (const { rolname } of roles.rows) await administer(adminUrl, `drop role ${rolname}`);
}

export async function administer(adminUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** The same database as the role with which a server should log in: it owns nothing. */
export function loginOf(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.username = 'metrology_test_login';
  url.password = 'only-for-tests';
  return url.href;
}

export function urlOfDatabase(adminUrl: string, name: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}
