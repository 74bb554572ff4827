import type { Command } from 'commander';
import { openDatabase } from '../database/database.ts';
import type { Output } from '../demo/progress.ts';
import { type Repacking, repack } from '../repack/repack.ts';
import { atLeastOne } from './listing.ts';
import { megabytes, progressTo } from './progress.ts';
import { stopSignal } from './stop-signal.ts';

interface Surroundings {
  /** Runs one command on the configured database. */
  withStore: (work: (store: { connectionString: string }) => Promise<void>) => Promise<void>;
  output: Output;
}

/** `metrology-server repack`: packs the series that older releases have stored unpacked. */
export function addRepackCommand(command: Command, { withStore, output }: Surroundings): void {
  command
    .description('pack chunks that were stored before this release, beside a running server (docs/operations.md)')
    .option('--limit <chunks>', 'pack so many chunks at most and stop; run it again to go on', atLeastOne)
    .action(({ limit }: { limit?: number }) =>
      withStore(async ({ connectionString }) => {
        // The database may be of any size, so statements have no time-out.
        const database = openDatabase(connectionString, { poolMax: 1, onIdleError: () => {}, statementMsMax: 0 });
        const signal = stopSignal();
        try {
          const result = await repack(database, {
            ...(limit !== undefined && { packedMax: limit }),
            signal,
            onProgress: progressTo(output, lookedAt),
            onLeft: ({ dataId, place, problem }) => {
              output.write(`${output.isTTY ? clearedLine : ''}stream ${dataId}, ${place}: ${problem}\n`);
            },
          });
          if (output.isTTY) output.write(clearedLine);
          for (const line of summaryOf(result)) output.write(`${line}\n`);
          if (result.wrong + result.heldChannels > 0) process.exitCode ??= 1;
        } finally {
          await database.close();
        }
      }),
    );
}

/** Clears the line of the progress bar, which is not full when the command was stopped. */
const clearedLine = '\r\u001b[K';

/** The total is the count at the beginning; servers may store more meanwhile. */
const lookedAt = (done: number, total: number) => `${done} of ${total} chunks looked at`;

function summaryOf(result: Repacking): string[] {
  const { looked, packed, asSent, wrong, heldChannels, pointBytes, tableBytes, isBrokenOff } = result;
  const lines = [
    `${looked} chunks and replaced contents looked at, ${packed} packed, ${asSent} with a series that only its own form holds exactly, ` +
      `${wrong} left since something is wrong with them`,
  ];
  if (packed > 0) {
    lines.push(
      `Their points took ${megabytes(pointBytes.before)} and take ${megabytes(pointBytes.after)}.`,
      `Tables and indexes take ${megabytes(tableBytes.after)} as the file system sees it; before it was ${megabytes(tableBytes.before)}.`,
      'The room of the old rows is free inside the tables. Once vacuum has been there, which PostgreSQL does by itself and which keeps nobody waiting,',
      'new chunks use it. The file system gets it back by "vacuum full chunks, chunk_revisions", for which all reads and writes wait and which takes',
      'as much disk as is left after it; or by pg_repack, which holds short locks only (docs/operations.md#repack).',
    );
  }
  if (heldChannels > 0) lines.push(`${heldChannels} channels were held by somebody else all the time: run this again.`);
  if (isBrokenOff) lines.push('Stopped before the end: run this again to go on.');
  return lines;
}
