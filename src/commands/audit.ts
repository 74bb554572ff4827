import { type Command, InvalidArgumentError, Option } from 'commander';
import { type AnyEntry, type AuditFilter, type AuditPlace, findEntriesOfAll } from '../audit/store.ts';
import { type AuditAction, auditActions } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import { parseDateTime } from '../lib/date-time.ts';
import { durationSeconds } from '../lib/duration.ts';
import { uuid, wholeNumber } from './listing.ts';

interface Surroundings {
  /** Runs one command on the configured database. */
  withStore: (work: (store: { database: Database }) => Promise<void>) => Promise<void>;
  output: { write(text: string): unknown };
}

interface AuditOptions extends Omit<AuditFilter, 'dataId' | 'keyId' | 'actions'> {
  action?: AuditAction[];
  stream?: string;
  key?: number;
  organization?: string;
  limit: number;
  json?: boolean;
}

/** Entries that one statement reads at most. */
const pageEntries = 1_000;

/** `metrology-server audit`: who did what, in all organizations or one. */
export function addAuditCommand(command: Command, { withStore, output }: Surroundings): void {
  command
    .description('list who did what, newest first: keys, deletions, replaced chunks, restores, sign-ins, exports')
    .option('--since <time>', 'from this time on: 2027-01-31, 2027-01-31T12:00:00Z, or 24h, 7d ago', time)
    .option('--until <time>', 'before this time', time)
    .addOption(new Option('--action <list>', `of these actions: ${auditActions.join()}`).argParser(actionList))
    .option('--stream <data_id>', 'what was done to a stream', uuid)
    .option('--key <id>', 'what was done with a key, and to it', wholeNumber)
    .option('--organization <name>', 'of one organization')
    .addOption(new Option('--limit <count>', 'so many entries at most; 0 for all').argParser(wholeNumber).default(100))
    .option('--json', 'an object in each line')
    .action(({ stream, key, action, limit, json = false, ...options }: AuditOptions) =>
      withStore(async ({ database }) => {
        const filter = { ...options, dataId: stream, keyId: key, actions: action };
        if (!json) output.write(`${header.join('\t')}\n`);
        for await (const entry of entriesOf(database, filter, limit))
          output.write(`${json ? JSON.stringify(entry) : rowOf(entry)}\n`);
      }),
    );
}

async function* entriesOf(
  database: Database,
  filter: AuditFilter & { organization?: string | undefined },
  limit: number,
): AsyncGenerator<AnyEntry> {
  let left = limit === 0 ? Number.POSITIVE_INFINITY : limit;
  let after: AuditPlace | undefined;
  while (left > 0) {
    const page = await findEntriesOfAll(database, filter, after, Math.min(left, pageEntries));
    yield* page;
    if (page.length < pageEntries) return;
    left -= page.length;
    after = page.at(-1);
  }
}

const header = ['WHEN', 'ORGANIZATION', 'ACTION', 'WHO', 'KEY', 'ON', 'FROM', 'REQUEST', 'DETAILS'];

function rowOf(entry: AnyEntry): string {
  const { happened_at, organization, action, actor, user_name, key_id, address, request_id, details } = entry;
  const who = actor === 'operator' ? `operator ${user_name ?? ''}`.trim() : (user_name ?? actor);
  const on = entry.data_id ?? (entry.of_key_id === null ? null : `key ${entry.of_key_id}`);
  const fields = [happened_at, organization, action, who, key_id, on, address, request_id, JSON.stringify(details)];
  // A name may contain a tab or a line feed, which would start another column or line.
  return fields
    .map((field) => (field === null ? '-' : String(field).replace(/[\p{Cc}\u2028\u2029]/gu, ' ')))
    .join('\t');
}

function actionList(list: string): AuditAction[] {
  const chosen = list.split(',');
  const wrong = chosen.filter((one) => !auditActions.some((action) => action === one));
  if (wrong.length > 0)
    throw new InvalidArgumentError(`Actions are ${auditActions.join(', ')}, with commas and no spaces.`);
  return chosen as AuditAction[];
}

/** Reads a time, or a duration that means so long ago. @returns a date-time for PostgreSQL */
function time(text: string): string {
  const ago = durationSeconds(text);
  const at = ago === undefined ? parseDateTime(text) : new Date(Date.now() - ago * 1_000).toISOString();
  if (at === undefined) throw new InvalidArgumentError('It is a time such as 2027-01-31T12:00:00Z, or 24h or 7d ago.');
  return at;
}
