import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import type { Command } from 'commander';
import { backUp, type Made, type Sink } from '../backups/backup.ts';
import { writeFileWhole } from '../backups/backup-file.ts';
import type { BackupManifest, Contents } from '../backups/backup-format.ts';
import { readBackup } from '../backups/read-backup.ts';
import { openDatabase } from '../database/database.ts';
import { createProgress, type Output } from '../demo/progress.ts';
import { megabytes, progressTo } from './progress.ts';
import { stopSignal } from './stop-signal.ts';

interface Surroundings {
  /** Runs one command on the configured database. */
  withStore: (work: (store: { connectionString: string }) => Promise<void>) => Promise<void>;
  input: Readable;
  output: Writable & Output;
  /** For the progress bar, since the backup itself may go to the output. */
  errors: Output;
}

const about = `
A backup holds all that is stored as it was at one moment: every organization, with the hashes of keys and sessions, but no
password of PostgreSQL. Servers go on meanwhile. It is restored into any supported PostgreSQL, embedded or not, by
"metrology-server restore" (docs/backup.md).`;

/** `metrology-server backup FILE|-`: writes or checks a backup. */
export function addBackupCommand(command: Command, { withStore, input, output, errors }: Surroundings): void {
  command
    .description('write all that is stored, as it is at one moment, into a file, beside a running server')
    .argument(
      '<file>',
      'where it goes, or - for standard output; a file of that name is replaced once the backup is whole',
    )
    .option(
      '--check',
      'write nothing: see whether the backup in that file (or in standard input) is whole; needs no database',
    )
    .addHelpText('after', about)
    .action(async (file: string, { check = false }: { check?: boolean }) => {
      const signal = stopSignal();
      if (check) {
        const source = await openSource(file, input, errors, signal);
        const { manifest, contents } = await readBackup(source);
        for (const line of describeBackup(manifest, contents)) output.write(`${line}\n`);
        return;
      }
      if (file === '-' && output.isTTY) throw new Error('A backup is no text for a terminal: name a file, or a pipe.');
      await withStore(async ({ connectionString }) => {
        // The database may be of any size, so statements have no time-out.
        const database = openDatabase(connectionString, { poolMax: 1, onIdleError: () => {}, statementMsMax: 0 });
        try {
          const make = (sink: Sink) => backUp(database, sink, { signal, onProgress: progressTo(errors, readOf) });
          const made = await (file === '-' ? make(sinkTo(output)) : writeFileWhole(file, make));
          for (const line of [...describeBackup(made.manifest, made.contents), sizeOf(made)]) errors.write(`${line}\n`);
        } finally {
          await database.close();
        }
      });
    });
}

/** Describes a backup for people, in lines. */
export function describeBackup(manifest: BackupManifest, { tables }: Contents): string[] {
  const { takenAt, release, commit, migrations, postgres, leftOut } = manifest;
  const rows = (name: string) => tables.find((table) => table.name === name)?.rows ?? 0;
  const lines = [
    `Backup of ${takenAt}, by release ${release} (commit ${commit}), migration ${migrations.at(-1)?.name}, PostgreSQL ${postgres}`,
    `${rows('streams')} streams, ${rows('channels')} channels, ${rows('chunks')} chunks, ${rows('chunk_revisions')} replaced contents, ` +
      `${tables.reduce((sum, table) => sum + table.rows, 0)} rows in ${tables.length} tables`,
  ];
  if (leftOut.length > 0) lines.push(`Not in it, since they are none of this server: ${leftOut.join(', ')}`);
  return lines;
}

const sizeOf = ({ bytes, contents }: Made) => {
  const read = contents.tables.reduce((sum, table) => sum + table.bytes, 0);
  return `${megabytes(bytes)}, of ${megabytes(read)} that PostgreSQL gave`;
};

/** Opens the bytes of a backup. From a file, whose size is known, it shows a progress bar. */
export async function openSource(
  file: string,
  input: Readable,
  errors: Output,
  signal: AbortSignal,
): Promise<AsyncIterable<Buffer>> {
  if (file === '-') return counted(input, () => {}, signal);
  const { size } = await stat(file);
  const show = createProgress(errors, size, (done) => `${megabytes(done)} of ${megabytes(size)} read`);
  return counted(createReadStream(file, { highWaterMark: 1024 * 1024 }), show, signal);
}

async function* counted(
  source: AsyncIterable<Buffer>,
  onRead: (bytes: number) => void,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const piece of source) {
    signal.throwIfAborted();
    bytes += piece.length;
    onRead(bytes);
    yield piece;
  }
}

/** The total is an estimate: the size of the tables on disk is about that of their content. */
const readOf = (done: number, total: number) => `${megabytes(done)} of about ${megabytes(total)} read`;

/**
 * Writes to the output with back-pressure: each write resolves when the reader has taken it.
 * @throws when the reader has gone
 */
function sinkTo(output: Writable): Sink {
  const failed = new Promise<never>((_, reject) => {
    output.once('error', (error) => reject(new Error(`The backup cannot be written: ${error.message}`)));
  });
  failed.catch(() => {});
  return (bytes) =>
    Promise.race([failed, new Promise<void>((resolve) => output.write(bytes, (error) => error ?? resolve()))]);
}
