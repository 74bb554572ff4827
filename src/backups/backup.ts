import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import type { Database } from '../database/database.ts';
import { ranMigrations } from '../database/migrations.ts';
import { packageCommit, packageVersion } from '../lib/package-info.ts';
import { type TarEntry, tarEnd, tarEntry } from '../lib/tar.ts';
import {
  type BackupManifest,
  backupContentsName,
  backupManifestName,
  type Contents,
  digestBody,
  digestName,
  formatName,
  formatVersion,
  jsonBody,
  pieceName,
  type TableContents,
} from './backup-format.ts';
import { type BackupLimits, backupLimits } from './limits.ts';
import { boundLocks, copyToSql, keepTables, listColumns, listSequences, listTables, readMoment } from './store.ts';

/**
 * Where the bytes of a backup go, in order. Each call is awaited, so a slow sink slows the backup down (back-pressure).
 */
export type Sink = (bytes: Buffer) => Promise<void>;

interface Options {
  /** Called with the number of bytes read so far, and of about how many. */
  onProgress?: (bytes: number, total: number) => void;
  /** Stops it; then it throws the reason of the signal. */
  signal?: AbortSignal;
  limits?: Partial<BackupLimits>;
}

export interface Made {
  manifest: BackupManifest;
  contents: Contents;
  /** Size of the file in bytes. */
  bytes: number;
}

/**
 * Writes all that is stored, in one snapshot, while servers keep running. Its memory does not grow with the database.
 * It waits for nothing but a migration, and only a migration waits for it.
 * @param database opened without a time limit for statements
 * @throws with a sentence where not all can be read, and what the sink throws; what was written until then is not a
 * backup
 */
export async function backUp(database: Database, sink: Sink, options: Options = {}): Promise<Made> {
  if (await database.isDistributed()) throw new Error(noSnapshot);
  const client = await database.everyOrganization.upkeep.pool.connect();
  let failure: Error | undefined;
  try {
    return await backUpOn(client, sink, options);
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    // Closing the connection ends an interrupted backup at once.
    client.release(failure ?? true);
  }
}

const noSnapshot =
  'The database is distributed over several nodes, and no snapshot covers them all: keep the write-ahead log of every node (pgBackRest) ' +
  'and set restore points with "select citus_create_restore_point(…)" (docs/scale.md#backup).';

async function backUpOn(client: pg.PoolClient, sink: Sink, options: Options): Promise<Made> {
  const limits = { ...backupLimits, ...options.limits };
  await boundLocks(client, limits.lockMsMax);
  const tables = (await listTables(client)).filter(({ isOurs }) => isOurs);
  await client.query('begin isolation level repeatable read read only');
  // The snapshot is taken by the first statement that reads rows. So first wait for migrations, then read.
  await keepTables(
    client,
    tables.map(({ name }) => name),
  );
  const { manifest, total } = await describe(client);
  const file = createFile(sink, Math.floor(Date.parse(manifest.takenAt) / 1_000));
  await file.entry({ name: backupManifestName, body: jsonBody(manifest) });
  const contents: Contents = { tables: [] };
  let before = 0;
  for (const table of manifest.tables) {
    const onRead = (bytes: number) => options.onProgress?.(before + bytes, Math.max(total, before + bytes));
    const found = await writeTable(client, table, { file, limits, onRead, signal: options.signal });
    before += found.bytes;
    contents.tables.push(found);
  }
  await client.query('commit');
  await file.entry({ name: backupContentsName, body: jsonBody(contents) });
  return { manifest, contents, bytes: await file.end() };
}

/** @throws with a sentence where the role of the session cannot see every row */
async function describe(client: pg.PoolClient): Promise<{ manifest: BackupManifest; total: number }> {
  const moment = await readMoment(client);
  const listed = await listTables(client);
  const ours = listed.filter(({ isOurs }) => isOurs);
  const hidden = ours.filter(({ isReadable }) => !isReadable);
  if (hidden.length > 0) {
    const names = hidden.map(({ name }) => name).join(', ');
    throw new Error(
      `The server's role may not read every row of ${names}, so a backup would lack some: run "metrology-server migrate" as the ` +
        'owner of the tables, or see which rights and policies were changed (docs/operations.md#roles).',
    );
  }
  const names = ours.map(({ name }) => name);
  const migrations = await ranMigrations({ pool: client as never });
  const manifest: BackupManifest = {
    format: formatName,
    formatVersion,
    takenAt: moment.takenAt,
    release: packageVersion,
    commit: packageCommit,
    postgres: moment.postgres,
    migrations: migrations.map(({ name, checksum }) => ({ name, checksum })),
    tables: await listColumns(client, names),
    sequences: await listSequences(client, names),
    leftOut: listed.filter(({ isOurs }) => !isOurs).map(({ name }) => name),
  };
  return { manifest, total: ours.reduce((sum, { bytes }) => sum + bytes, 0) };
}

interface TableDependencies {
  file: ReturnType<typeof createFile>;
  limits: BackupLimits;
  onRead: (bytes: number) => void;
  signal: AbortSignal | undefined;
}

/** Writes the rows of a table. While pieces are compressed in threads, the next piece is read. */
async function writeTable(
  client: pg.PoolClient,
  table: BackupManifest['tables'][number],
  { file, limits, onRead, signal }: TableDependencies,
): Promise<TableContents> {
  const hash = createHash('sha256');
  const compressing: Promise<Buffer>[] = [];
  const found = { name: table.name, rows: 0, bytes: 0, pieces: 0 };
  let gathered: Buffer[] = [];
  let gatheredBytes = 0;
  const writeOne = async () => {
    const body = await (compressing.shift() as Promise<Buffer>);
    await file.entry({ name: pieceName(table.name, ++found.pieces), body });
  };
  const compress = async () => {
    const packed = promisify(gzip)(Buffer.concat(gathered), { level: limits.gzipLevel });
    packed.catch(() => {});
    compressing.push(packed);
    [gathered, gatheredBytes] = [[], 0];
    if (compressing.length >= limits.piecesMax) await writeOne();
  };
  const rows = client.query(copyTo(copyToSql(table)));
  for await (const bytes of rows as AsyncIterable<Buffer>) {
    signal?.throwIfAborted();
    hash.update(bytes);
    found.bytes += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + limits.pieceBytes - gatheredBytes);
      gathered.push(part);
      gatheredBytes += part.length;
      at += part.length;
      if (gatheredBytes === limits.pieceBytes) await compress();
    }
    onRead(found.bytes);
  }
  if (gatheredBytes > 0) await compress();
  while (compressing.length > 0) await writeOne();
  return { ...found, rows: rows.rowCount, sha256: hash.digest('hex') };
}

function createFile(sink: Sink, seconds: number) {
  const hash = createHash('sha256');
  let written = 0;
  const write = async (bytes: Buffer) => {
    hash.update(bytes);
    written += bytes.length;
    await sink(bytes);
  };
  const entry = (one: TarEntry) => write(tarEntry(one, seconds));
  return {
    entry,
    /** @returns the size of the whole file in bytes */
    async end(): Promise<number> {
      await entry({ name: digestName, body: digestBody(hash.copy().digest()) });
      await write(tarEnd);
      return written;
    },
  };
}
