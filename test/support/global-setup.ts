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

/** One PostgreSQL for the whole run (the embedded one, or DATABASE_URL) with one migrated template database. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'metrology-test-'));
  const configured = process.env.DATABASE_URL;
  const embedded = configured ? undefined : await startEmbeddedPostgres({ dataDir, log: quiet });
  const adminUrl = configured ?? (embedded?.connectionString as string);
  const templateName = `metrology_template_${process.pid}`;
  await administer(adminUrl, `create database ${templateName}`);
  const template = openAsOwner(urlOfDatabase(adminUrl, templateName), { onIdleError: () => {} });
  await makeRoles(template);
  await migrate(template);
  await makeLogin(template, loginOf(adminUrl), { ownsPassword: true });
  await template.close();
  project.provide('adminUrl', adminUrl);
  project.provide('templateName', templateName);
  return async () => {
    await administer(adminUrl, `drop database ${templateName}`);
    await embedded?.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
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
