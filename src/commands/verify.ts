import type { Command } from 'commander';
import { openDatabase } from '../database/database.ts';
import { type Verification, verify } from '../verify/verify.ts';

interface Surroundings {
  /** Runs one command on the configured database. */
  withStore: (work: (store: { connectionString: string }) => Promise<void>) => Promise<void>;
  print: (line: string) => void;
}

/** `metrology-server verify`: recomputes hashes, counters and overviews from what is stored, and compares them. */
export function addVerifyCommand(command: Command, { withStore, print }: Surroundings): void {
  command
    .description('compute the hash of every stored chunk anew and name those that differ; ends with 1 when some do')
    .option('--repair', 'make overviews that differ or are missing anew, of their chunks; nothing else is changed')
    .action(({ repair = false }: { repair?: boolean }) =>
      withStore(async ({ connectionString }) => {
        // The database may be of any size, so statements have no time-out.
        const database = openDatabase(connectionString, { poolMax: 1, onIdleError: () => {}, statementMsMax: 0 });
        try {
          const found = await verify(
            database,
            ({ dataId, place, problem }) => print(`stream ${dataId}, ${place}: ${problem}`),
            { repairs: repair },
          );
          for (const line of describeVerification(found)) print(line);
          if (differsStill(found)) process.exitCode = 1;
        } finally {
          await database.close();
        }
      }),
    );
}

/** The lines that `verify` prints at the end. */
export function describeVerification({ chunks, revisions, channels, overviews, repaired }: Verification): string[] {
  const lines = [
    `${chunks.checked} chunks, ${chunks.differ} differ`,
    `${revisions.checked} replaced contents, ${revisions.differ} differ`,
    `${channels.checked} channels, ${channels.differ} differ`,
    `${overviews.checked} overviews, ${overviews.differ} differ`,
  ];
  if (repaired === undefined) {
    if (overviews.differ > 0)
      lines.push('"metrology-server verify --repair" makes overviews anew; no reading is lost.');
    return lines;
  }
  const { made, left, heldChannels } = repaired;
  lines.push(`${made} overviews were made that differed or were missing`);
  if (left > 0) lines.push(`${left} overviews were left as they are, since their chunks cannot be read`);
  if (heldChannels > 0) lines.push(`${heldChannels} channels were held by somebody else: run this again.`);
  if (chunks.differ + revisions.differ + channels.differ > 0) {
    lines.push(
      'Chunks, replaced contents and channels that differ are not repaired: nothing here tells what they were.',
    );
  }
  return lines;
}

export function differsStill({ chunks, revisions, channels, overviews, repaired }: Verification): boolean {
  const unrepaired = repaired === undefined ? overviews.differ : repaired.left + repaired.heldChannels;
  return chunks.differ + revisions.differ + channels.differ + unrepaired > 0;
}
