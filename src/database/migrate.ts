import { readdir, readFile } from 'node:fs/promises';
import { type Migration, Migrator, sql } from 'kysely';
import type { Database } from './database.ts';

/** Beside `src` in a checkout and beside `dist` in the package. */
const migrationsFolder = new URL('../../migrations/', import.meta.url);

/**
 * Runs the migrations that the database does not have yet, each in order, all in one transaction.
 * Several servers may start at once: one migrates, the others wait and find nothing to do.
 * @returns the names of those that ran.
 * @throws when one fails (everything is rolled back) or the database is newer than this program.
 */
export async function migrate(database: Database): Promise<string[]> {
  const { error, results } = await migrator(database).migrateToLatest();
  if (error) throw error;
  return (results ?? []).map((result) => result.migrationName);
}

/** The names of the migrations that the database lacks. @throws when the database cannot be reached. */
export async function pendingMigrations(database: Database): Promise<string[]> {
  const infos = await migrator(database).getMigrations();
  return infos.filter((info) => info.executedAt === undefined).map((info) => info.name);
}

function migrator(database: Database): Migrator {
  return new Migrator({ db: database.kysely, provider: { getMigrations: readMigrations } });
}

async function readMigrations(): Promise<Record<string, Migration>> {
  const migrations: Record<string, Migration> = {};
  for (const file of await readdir(migrationsFolder)) {
    if (!file.endsWith('.sql')) continue;
    const text = await readFile(new URL(file, migrationsFolder), 'utf8');
    migrations[file.slice(0, -'.sql'.length)] = { up: async (db) => void (await sql.raw(text).execute(db)) };
  }
  return migrations;
}
