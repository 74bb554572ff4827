import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { readTar, type TarEntry, TarProblem } from '../lib/tar.ts';
import {
  type BackupManifest,
  BackupProblem,
  backupContentsName,
  backupManifestName,
  type Contents,
  damaged,
  digestBody,
  digestName,
  noBackup,
  parseBackupContents,
  pieceName,
  readManifest,
  type TableContents,
} from './backup-format.ts';
import { type BackupLimits, backupLimits } from './limits.ts';

/** What to do with a backup while it is read. Only after the end is it known to be complete and undamaged. */
export interface Visitor {
  begin?(manifest: BackupManifest): Promise<void>;
  beginTable?(table: BackupManifest['tables'][number]): Promise<void>;
  /** @param bytes of the COPY of the table, split anywhere */
  piece?(bytes: Buffer): Promise<void>;
  /** @returns how many rows have arrived; undefined where they were not counted */
  endTable?(): Promise<number | undefined>;
}

/**
 * Reads a backup from beginning to end, and compares everything with the hashes and counts in it. Its memory does not
 * grow with the backup.
 * @throws BackupProblem with a sentence where the file is not a backup, is cut or altered; and what the visitor throws
 */
export async function readBackup(
  source: AsyncIterable<Buffer>,
  visitor: Visitor = {},
  given: Partial<BackupLimits> = {},
): Promise<{ manifest: BackupManifest; contents: Contents }> {
  const { entryBytesMax } = { ...backupLimits, ...given };
  const whole = createHash('sha256');
  const unhashed: Buffer[] = [];
  // The last entry is the hash of all entries before it, so hashing stays one entry behind.
  const hashPending = () => {
    for (const bytes of unhashed.splice(0)) whole.update(bytes);
  };
  const entries = readTar(source, { entryBytesMax, onBytes: (bytes) => unhashed.push(bytes) });
  const next = async (): Promise<TarEntry | undefined> => {
    hashPending();
    const { value, done } = await entries.next();
    return done ? undefined : value;
  };
  try {
    const first = await next().catch((error) => {
      throw error instanceof TarProblem ? noBackup() : error;
    });
    if (first?.name !== backupManifestName) throw noBackup();
    const manifest = readManifest(first.body);
    await visitor.begin?.(manifest);
    const { found, after } = await readTables(manifest, next, visitor, entryBytesMax);
    if (after?.name !== backupContentsName)
      throw damaged(`${after?.name ?? 'its end'} stands where its contents should`);
    const contents = parseBackupContents(after.body);
    compare(contents.tables, found);
    hashPending();
    const digest = whole.digest();
    const last = await next();
    if (last?.name !== digestName || !last.body.equals(digestBody(digest))) throw damaged('its SHA-256 is another one');
    if (!(await entries.next()).done) throw damaged('something follows its end');
    return { manifest, contents };
  } catch (error) {
    throw error instanceof TarProblem ? damaged(error.message) : error;
  }
}

type Found = Omit<TableContents, 'rows'> & { rows: number | undefined };

async function readTables(
  manifest: BackupManifest,
  next: () => Promise<TarEntry | undefined>,
  visitor: Visitor,
  entryBytesMax: number,
): Promise<{ found: Found[]; after: TarEntry | undefined }> {
  const found: Found[] = [];
  let entry = await next();
  for (const table of manifest.tables) {
    const hash = createHash('sha256');
    const tally = { bytes: 0, pieces: 0 };
    await visitor.beginTable?.(table);
    for (; entry?.name === pieceName(table.name, tally.pieces + 1); entry = await next()) {
      const bytes = await unpack(entry, entryBytesMax);
      hash.update(bytes);
      tally.bytes += bytes.length;
      tally.pieces++;
      await visitor.piece?.(bytes);
    }
    if (tally.pieces === 0) throw damaged(`the table ${table.name} is not in it`);
    const rows = await visitor.endTable?.();
    found.push({ name: table.name, ...tally, rows, sha256: hash.digest('hex') });
  }
  return { found, after: entry };
}

async function unpack({ name, body }: TarEntry, maxOutputLength: number): Promise<Buffer> {
  try {
    return await promisify(gunzip)(body, { maxOutputLength });
  } catch (error) {
    throw damaged(`${name} cannot be unpacked (${(error as Error).message})`);
  }
}

function compare(listed: readonly TableContents[], found: readonly Found[]): void {
  for (const [i, table] of found.entries()) {
    const { name, rows, bytes, pieces, sha256 } = listed[i] ?? { name: undefined };
    const isSame = name === table.name && bytes === table.bytes && pieces === table.pieces && sha256 === table.sha256;
    if (!isSame) throw damaged(`the table ${table.name} is not what was written`);
    if (table.rows !== undefined && rows !== table.rows) {
      throw damaged(`the table ${table.name} has ${table.rows} rows and should have ${rows}`);
    }
  }
  if (listed.length !== found.length)
    throw new BackupProblem('The backup is damaged: it names more tables than it has.');
}
