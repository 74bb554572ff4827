/** The migrations that come with this program, those that have run in a database, and whether the two fit. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { Access, ConnectionSource } from './access.ts';
import { hasSqlstate, sqlstates } from './sqlstates.ts';

/** Beside `src` in a checkout and beside `dist` in the package. */
export const shippedFolder = new URL('../../migrations/', import.meta.url);

export interface MigrationFile {
  name: string;
  text: string;
  /** SHA-256 of the text, in hexadecimal. */
  checksum: string;
  /**
   * Whether servers of the release before may go on with the tables after this migration; undefined where the file does
   * not say.
   */
  releaseBeforeServes: boolean | undefined;
}

export interface RanMigration {
  name: string;
  /** Null if it ran before checksums were recorded. */
  checksum: string | null;
  releaseBeforeServes: boolean | null;
}

/** The line of a file that says so; `yes` or `no` is followed by the reason. The first seven files have none. */
const declarationLine = /^-- The release before may serve beside this: (yes|no)\b/m;

/** The migrations of a folder, in the order in which they run. */
export async function readMigrations(folder = shippedFolder): Promise<MigrationFile[]> {
  const names = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (file) => {
      const text = await readFile(new URL(file, folder), 'utf8');
      const declared = declarationLine.exec(text)?.[1];
      return {
        name: file.slice(0, -'.sql'.length),
        text,
        checksum: createHash('sha256').update(text).digest('hex'),
        releaseBeforeServes: declared === undefined ? undefined : declared === 'yes',
      };
    }),
  );
}

/**
 * The migrations that have run, in the order of their names; none where there are no tables of ours.
 * @param pool or one of its connections
 */
export async function ranMigrations({ pool }: { pool: Pick<ConnectionSource, 'query'> }): Promise<RanMigration[]> {
  // As JSON, since a database that only older releases have migrated lacks some of these columns.
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

/** Why a program with these migrations cannot work with a database in which those have run, in one sentence. */
export function problemBetween(files: readonly MigrationFile[], ran: readonly RanMigration[]): string | undefined {
  const pending = pendingOf(files, ran);
  if (pending.length > 0) {
    const names = pending.map(({ name }) => name).join(', ');
    return `The database is not migrated: ${names} missing; run "metrology-server migrate".`;
  }
  return foreignProblem(files, ran);
}

/** Those that have not run in the database. */
export function pendingOf(files: readonly MigrationFile[], ran: readonly RanMigration[]): MigrationFile[] {
  const known = new Set(ran.map(({ name }) => name));
  return files.filter(({ name }) => !known.has(name));
}

/** Why this release cannot do anything with a database in which those have run, in one sentence. */
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

/** Why this release may not serve with tables that a newer one has changed, in one sentence. */
function newerProblem(files: readonly MigrationFile[], ran: readonly RanMigration[]): string | undefined {
  const known = new Set(files.map(({ name }) => name));
  const refusing = ran.filter(({ name, releaseBeforeServes }) => !known.has(name) && releaseBeforeServes !== true);
  if (refusing.length === 0) return undefined;
  const names = refusing.map(({ name }) => name).join(', ');
  // Our own releases record checksums since the first one that may run beside others.
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
