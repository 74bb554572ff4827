import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { OwnerDatabase } from '../database/database.ts';
import { makeTables } from '../database/migrate.ts';
import { foreignProblem, type MigrationFile, ranMigrations, readMigrations } from '../database/migrations.ts';
import { inTransaction } from '../database/transactions.ts';
import { packageVersion } from '../lib/package-info.ts';
import { type BackupManifest, BackupProblem, type Contents } from './backup-format.ts';
import { type BackupLimits, backupLimits } from './limits.ts';
import { readBackup } from './read-backup.ts';
import {
  closeTables,
  copyFromSql,
  type Found,
  listColumns,
  listForced,
  listFound,
  openTables,
  setSequence,
} from './store.ts';

interface Options {
  /** Stops it; then it throws the reason of the signal, and the database is as it was. */
  signal?: AbortSignal;
  limits?: Partial<BackupLimits>;
  migrationsFolder?: URL;
}

/**
 * Fills an empty database from a backup, in one transaction: after any failure it is as empty as before. The tables are
 * those at the moment of the backup; later migrations are left to `migrate`.
 * @param owner the role that will own the tables; the roles of the server must exist (`makeRoles`)
 * @throws with a sentence: BackupProblem where the file is not a backup, is damaged, or is of a newer release; and
 * where the database is not empty
 */
export async function restore(
  owner: OwnerDatabase,
  source: AsyncIterable<Buffer>,
  { signal, limits: given, migrationsFolder }: Options = {},
): Promise<{ manifest: BackupManifest; contents: Contents }> {
  const limits = { ...backupLimits, ...given };
  const files = await readMigrations(migrationsFolder);
  // Before the backup is read: somebody who named the wrong database learns that at once.
  await inTransaction(owner.pool, async (client) => {
    const found = await listFound(client);
    if (filledOf(found).length > 0) throw notEmpty(found);
  });
  return inTransaction(owner.pool, async (client) => {
    await client.query(`select set_config('lock_timeout', $1::text, true)`, [String(limits.lockMsMax)]);
    let forced: string[] = [];
    let rows: CopyIn | undefined;
    const read = await readBackup(
      source,
      {
        async begin(manifest) {
          await prepare(client, manifest, files);
          forced = await listForced(client, namesOf(manifest));
          await openTables(client, namesOf(manifest));
        },
        async beginTable(table) {
          rows = copyIn(client, copyFromSql(table));
        },
        async piece(bytes) {
          signal?.throwIfAborted();
          await rows?.write(bytes);
        },
        endTable: async () => rows?.end(),
      },
      limits,
    ).catch(async (error) => {
      // A COPY that is still running would take the rollback for data.
      await rows?.abandon(error);
      throw error;
    });
    for (const sequence of read.manifest.sequences) await setSequence(client, sequence);
    await closeTables(client, namesOf(read.manifest), forced);
    return read;
  });
}

const namesOf = ({ tables }: BackupManifest) => tables.map(({ name }) => name);

/** Creates the tables of the backup, or checks that they exist and are empty. */
async function prepare(
  client: pg.PoolClient,
  manifest: BackupManifest,
  files: readonly MigrationFile[],
): Promise<void> {
  refuseForeign(manifest, files);
  const found = await listFound(client);
  if (filledOf(found).length > 0) throw notEmpty(found);
  const wanted = new Set(manifest.migrations.map(({ name }) => name));
  if (found.length === 0) {
    await makeTables(
      client,
      files.filter(({ name }) => wanted.has(name)),
    );
  } else {
    const ran = await ranMigrations({ pool: client as never });
    const isSame = ran.length === wanted.size && ran.every(({ name }) => wanted.has(name));
    if (!isSame) throw notEmpty(found);
  }
  await refuseMissing(client, manifest);
}

/** @throws BackupProblem where this release does not know the migrations that made the tables of the backup */
function refuseForeign({ migrations, release }: BackupManifest, files: readonly MigrationFile[]): void {
  const known = new Set(files.map(({ name }) => name));
  const unknown = migrations.filter(({ name }) => !known.has(name)).map(({ name }) => name);
  if (unknown.length > 0) {
    throw new BackupProblem(
      `The backup was made by release ${release} of a database with the migrations ${unknown.join(', ')}, which this release, ` +
        `${packageVersion}, does not know (its newest is ${files.at(-1)?.name}): restore it with a release that has them.`,
    );
  }
  const ran = migrations.map((one) => ({ ...one, releaseBeforeServes: null }));
  if (foreignProblem(files, ran) !== undefined) {
    const checksums = new Map(files.map(({ name, checksum }) => [name, checksum]));
    const changed = ran.filter(({ name, checksum }) => checksum !== null && checksums.get(name) !== checksum);
    throw new BackupProblem(
      `The backup was made of a database that has had other migrations under the names of this release ` +
        `(${changed.map(({ name }) => name).join(', ')}): restore it with the build that has made it, release ${release}.`,
    );
  }
}

/** @throws BackupProblem that names the columns of the backup that the tables do not have */
async function refuseMissing(client: pg.PoolClient, manifest: BackupManifest): Promise<void> {
  const there = await listColumns(client, namesOf(manifest));
  const missing = manifest.tables.flatMap(({ name, columns }, i) => {
    const types = new Map(there[i]?.columns.map((column) => [column.name, column.type]));
    return columns.filter((one) => types.get(one.name) !== one.type).map((one) => `${name}.${one.name} (${one.type})`);
  });
  if (missing.length === 0) return;
  throw new BackupProblem(`The backup holds what the tables of this release have no place for: ${missing.join(', ')}.`);
}

/** The table of migrations does not count as content. */
const filledOf = (found: readonly Found[]) =>
  found.filter(({ name, hasRows }) => hasRows && name !== 'kysely_migration').map(({ name }) => name);

const notEmpty = (found: readonly Found[]) => {
  const filled = filledOf(found);
  const what =
    filled.length > 0
      ? `has rows in ${filled.join(', ')}`
      : `has tables already (${found.map(({ name }) => name).join(', ')}), as another release than that of the backup makes them`;
  return new Error(
    `The database is not empty: it ${what}. A backup is restored into an empty one: make a new database, or name another DATA_DIR.`,
  );
};

interface CopyIn {
  write(bytes: Buffer): Promise<void>;
  /** @returns how many rows have been stored */
  end(): Promise<number>;
  /** Ends the COPY without storing any row. */
  abandon(error: Error): Promise<void>;
}

/** Streams rows into a table. An error of PostgreSQL is thrown by the next write. */
function copyIn(client: pg.PoolClient, statement: string): CopyIn {
  const copy = client.query(copyFrom(statement));
  let isOver = false;
  const done = new Promise<void>((resolve, reject) => copy.once('finish', resolve).once('error', reject)).finally(
    () => {
      isOver = true;
    },
  );
  done.catch(() => {});
  return {
    write: (bytes) =>
      Promise.race([done, new Promise<void>((resolve) => copy.write(bytes, (error) => error ?? resolve()))]),
    async end() {
      copy.end();
      await done;
      return copy.rowCount;
    },
    async abandon(error) {
      if (isOver) return;
      copy.destroy(error);
      await done.catch(() => {});
    },
  };
}
