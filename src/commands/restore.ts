import type { Readable, Writable } from 'node:stream';
import type { Command } from 'commander';
import { readmitSqlReaders } from '../auth/sql-readers.ts';
import { restore } from '../backups/restore-backup.ts';
import { openDatabase } from '../database/database.ts';
import type { Output } from '../demo/progress.ts';
import type { Unprepared } from '../process/open-database.ts';
import { verify } from '../verify/verify.ts';
import { describeBackup, openSource } from './backup.ts';
import { stopSignal } from './stop-signal.ts';
import { differsStill, describeVerification as verificationOf } from './verify.ts';

interface Surroundings {
  open: () => Promise<Unprepared>;
  input: Readable;
  output: Writable;
  errors: Output;
}

const about = `
The database must be empty: a new one of DATABASE_URL (with MIGRATION_DATABASE_URL, its owner makes the tables), or a DATA_DIR that is
not there yet. Whatever fails, it is as empty afterwards as before. In the end it is brought up to date and verified
(docs/backup.md).`;

/** `metrology-server restore FILE|-`: fills an empty database with a backup. */
export function addRestoreCommand(command: Command, { open, input, output, errors }: Surroundings): void {
  const print = (line: string) => output.write(`${line}\n`);
  command
    .description(
      'fill an empty database with a backup, bring it up to date, and verify it; ends with 1 when something differs',
    )
    .argument('<file>', 'the backup, or - for standard input')
    .addHelpText('after', about)
    .action(async (file: string) => {
      const signal = stopSignal();
      const source = await openSource(file, input, errors, signal);
      const place = await open();
      try {
        const { manifest, contents } = await restore(place.owner, source, { signal });
        for (const line of describeBackup(manifest, contents)) print(line);
        await place.prepare();
        await place.owner.pool.query('analyze');
        for (const role of await readmitSqlReaders(place.owner)) {
          print(
            `The SQL reader ${role} has no role in this PostgreSQL: "metrology-server sql-readers drop ${role}", then create another.`,
          );
        }
        await verifyAll(place.connectionString, print);
      } finally {
        await place.close();
      }
    });
}

async function verifyAll(connectionString: string, print: (line: string) => void): Promise<void> {
  const database = openDatabase(connectionString, { poolMax: 1, onIdleError: () => {}, statementMsMax: 0 });
  try {
    const found = await verify(database, ({ dataId, place, problem }) =>
      print(`stream ${dataId}, ${place}: ${problem}`),
    );
    for (const line of verificationOf(found)) print(line);
    const { chunks, revisions, channels, overviews } = found;
    print(`verify: ${[chunks, revisions, channels, overviews].reduce((sum, { differ }) => sum + differ, 0)} differ`);
    if (differsStill(found)) process.exitCode = 1;
  } finally {
    await database.close();
  }
}
