import { readdir, readFile } from 'node:fs/promises';
import { type Migration, Migrator, sql } from 'kysely';
import type { Access } from './access.ts';

/** Beside `src` in a checkout and beside `dist` in the package. */
const shippedFolder = new URL('../../migrations/', import.meta.url);

/**
 * Runs the migrations that the database does not have yet, each in order, all in one transaction.
 * Several servers may start at once: one migrates, the others wait and find nothing to do. Since a migration may rewrite
 * a table of any size, give it a database that was opened with `statementMsMax: 0`.
 * @returns the names of those that ran.
 * @throws when one fails (everything is rolled back) or the database is newer than this program.
 */
export async function migrate(database: Access, folder = shippedFolder): Promise<string[]> {
  const { error, results } = await migrator(database, folder).migrateToLatest();
  if (error) throw error;
  return (results ?? []).map((result) => result.migrationName);
}

/** The names of the migrations that the database lacks. @throws when the database cannot be reached. */
export async function pendingMigrations(database: Access, folder = shippedFolder): Promise<string[]> {
  const infos = await migrator(database, folder).getMigrations();
  return infos.filter((info) => info.executedAt === undefined).map((info) => info.name);
}

/** Why this program cannot work with the tables as they are, in one sentence. @throws when the database cannot be reached */
export async function migrationProblem(database: Access): Promise<string | undefined> {
  const pending = await pendingMigrations(database);
  if (pending.length === 0) return undefined;
  return `The database is not migrated: ${pending.join(', ')} missing; run "metrology-server migrate".`;
}

function migrator(database: Access, folder: URL): Migrator {
  return new Migrator({ db: database.kysely, provider: { getMigrations: () => readMigrations(folder) } });
}

async function readMigrations(folder: URL): Promise<Record<string, Migration>> {
  const migrations: Record<string, Migration> = {};
  for (const file of await readdir(folder)) {
    if (!file.endsWith('.sql')) continue;
    const text = await readFile(new URL(file, folder), 'utf8');
    migrations[file.slice(0, -'.sql'.length)] = { up: async (db) => void (await sql.raw(text).execute(db)) };
  }
  return migrations;
}
