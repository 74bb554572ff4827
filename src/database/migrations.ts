/** The migrations that this program brings, those that a database has had, and whether the two go together. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { Access, Connections } from './access.ts';
import { hasSqlstate, sqlstates } from './sqlstates.ts';

/** Beside `src` in a checkout and beside `dist` in the package. */
export const shippedFolder = new URL('../../migrations/', import.meta.url);

export interface MigrationFile {
  name: string;
  text: string;
  /** SHA-256 of the text, in hexadecimal. */
  checksum: string;
  /** Whether servers of the release before may go on beside the tables as they are then; undefined where it is not said. */
  releaseBeforeServes: boolean | undefined;
}

export interface RanMigration {
  name: string;
  /** Null of one that ran before checksums were kept. */
  checksum: string | null;
  releaseBeforeServes: boolean | null;
}

/** The line of a file that says it; `yes` or `no` is followed by the reason. The first seven files have none. */
const sayingLine = /^-- The release before may serve beside this: (yes|no)\b/m;

/** The migrations of a folder, in the order in which they run. */
export async function readMigrations(folder = shippedFolder): Promise<MigrationFile[]> {
  const names = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (file) => {
      const text = await readFile(new URL(file, folder), 'utf8');
      const saying = sayingLine.exec(text)?.[1];
      return {
        name: file.slice(0, -'.sql'.length),
        text,
        checksum: createHash('sha256').update(text).digest('hex'),
        releaseBeforeServes: saying === undefined ? undefined : saying === 'yes',
      };
    }),
  );
}

/** What a database has had, in the order of the names. Without tables of ours, nothing. @param pool or one connection of it */
export async function ranMigrations({ pool }: { pool: Pick<Connections, 'query'> }): Promise<RanMigration[]> {
  // As JSON, since a database that only older releases have migrated lacks the columns of this one.
  const rows = await pool
    .query<RanMigration>(
      `select name, row ->> 'checksum' as checksum, (row ->> 'release_before_serves')::boolean as "releaseBeforeServes"
       from kysely_migration as ran cross join lateral to_jsonb(ran) as row order by name`,
    )
    .then((result) => result.rows)
    .catch((error: unknown) => {
      if (hasSqlstate(error, sqlstates.undefinedTable)) return [];
      throw error;
    });
  return rows;
}

/** Why a program with these migrations cannot work with a database that has had those, in one sentence. */
export function problemBetween(files: readonly MigrationFile[], ran: readonly RanMigration[]): string | undefined {
  const pending = pendingOf(files, ran);
  if (pending.length > 0) {
    const names = pending.map(({ name }) => name).join(', ');
    return `The database is not migrated: ${names} missing; run "metrology-server migrate".`;
  }
  return foreignProblem(files, ran);
}

/** Those that the database has not had. */
export function pendingOf(files: readonly MigrationFile[], ran: readonly RanMigration[]): MigrationFile[] {
  const known = new Set(ran.map(({ name }) => name));
  return files.filter(({ name }) => !known.has(name));
}

/** Why this release can do nothing with what a database has had, in one sentence. */
export function foreignProblem(files: readonly MigrationFile[], ran: readonly RanMigration[]): string | undefined {
  const checksums = new Map(files.map(({ name, checksum }) => [name, checksum]));
  const changed = ran.filter(({ name, checksum }) => {
    const shipped = checksums.get(name);
    return checksum !== null && shipped !== undefined && shipped !== checksum;
  });
  if (changed.length === 0) return newerProblem(files, ran);
  const names = changed.map(({ name }) => name).join(', ');
  return (
    `The database has had other migrations under the names of this release (${names}): run the release or build that has ` +
    'made its tables.'
  );
}

/** Why this release may not serve beside what a newer one has made of the tables, in one sentence. */
function newerProblem(files: readonly MigrationFile[], ran: readonly RanMigration[]): string | undefined {
  const known = new Set(files.map(({ name }) => name));
  const refusing = ran.filter(({ name, releaseBeforeServes }) => !known.has(name) && releaseBeforeServes !== true);
  if (refusing.length === 0) return undefined;
  const names = refusing.map(({ name }) => name).join(', ');
  // Our own releases have kept checksums since the one that runs beside others.
  const isAnother = refusing.every(({ checksum }) => checksum === null);
  const or = isAnother
    ? ' If another program keeps its migrations in this database, give each a database of its own.'
    : '';
  return `The database was migrated by a newer release (${names}), beside which this one may not serve: run that release.${or}`;
}

/** Why this program cannot work with the tables as they are, in one sentence. @throws when the database cannot be reached */
export async function migrationProblem(database: Pick<Access, 'pool'>, folder = shippedFolder) {
  return problemBetween(await readMigrations(folder), await ranMigrations(database));
}
