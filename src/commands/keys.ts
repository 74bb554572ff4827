import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Scope, scopes } from '../auth/identity.ts';
import { createKey, defaultUser, importKey, type KeyTerms, rotateKey } from '../auth/keys.ts';
import { type AuthLimits, authLimits } from '../auth/limits.ts';
import { createLink, signInLink } from '../auth/sessions.ts';
import { listKeys, revokeKey } from '../auth/store.ts';
import type { Actor } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import { parseDateTime } from '../lib/date-time.ts';
import { durationSeconds } from '../lib/duration.ts';

/** Runs one command on the configured database. */
type WithDatabase = (work: (database: Database) => Promise<void>) => Promise<void>;

export const owner = {
  organization: () => new Option('--organization <name>', 'whose it is; made when missing').makeOptionMandatory(),
  user: () => new Option('--user <name>', 'the person; made when missing').default(defaultUser),
};

const about = (cacheSeconds: number) => `
Scopes:
  read    every GET
  delete  every DELETE, and restoring what was deleted
  write   the rest: streams, chunks, samples, projects, tags, instruments
  admin   what the operator looks at: the audit log of the organization, and /metrics, of all, from other hosts

A key is stored as its SHA-256 and cannot be shown again. Running servers know a new key at once, and refuse one that was
revoked or has ended within ${cacheSeconds} s.`;

interface Surroundings {
  withDatabase: WithDatabase;
  print: (line: string) => void;
  environment: Record<string, string | undefined>;
  /** What the audit log says of who runs the command. */
  actor: Actor;
  /** Where a browser reaches the server, as far as the settings tell. */
  pageUrl: () => Promise<string>;
  limits?: AuthLimits;
}

/** `metrology-server keys …`: keys are made, taken over, listed, replaced and revoked. None is ever an argument. */
export function addKeysCommands(
  keys: Command,
  { withDatabase, print, environment, actor, pageUrl, limits = authLimits }: Surroundings,
): void {
  const cacheSeconds = limits.keyCacheMsMax / 1_000;
  const seconds = secondsUpTo(limits.keySecondsMax);
  keys.description('API keys').addHelpText('after', about(cacheSeconds));
  withTerms(keys.command('create'), seconds)
    .description('make a key and print it, alone, on standard output')
    .action((options) =>
      withDatabase(async (database) =>
        print(await createKey(database, options.organization, options.user, termsOf(options), actor)),
      ),
    );
  withTerms(keys.command('import'), seconds)
    .description('store a key that somebody holds already, of any form; it is read from standard input')
    .option('--from-file <path>', 'read it from a file instead')
    .addOption(new Option('--from-env <name>', 'read it from a variable of the environment').conflicts('fromFile'))
    .action(async (options) => {
      const key = await readKey(options, environment);
      await withDatabase(async (database) => {
        const id = await importKey(database, key, options.organization, options.user, termsOf(options), actor);
        print(`Key ${id} is stored.`);
      });
    });
  keys
    .command('list')
    .description('list all keys, without the keys themselves')
    .action(() => withDatabase((database) => list(database, print)));
  keys
    .command('link')
    .description('make a link that signs in to the page with a key, once and soon, and print it, alone')
    .argument('<id>', 'the number of the key in the list', wholeNumber)
    .option('--url <address>', 'where the browser reaches the server (default: PUBLIC_URL, then HOST and PORT)')
    .action((id, { url }) =>
      withDatabase(async (database) => {
        const link = await createLink(database, id, limits, actor);
        if (link === undefined) throw new Error(`There is no key ${id} that still opens.`);
        print(signInLink(url ?? (await pageUrl()), link.token));
        process.stderr.write(`It signs in once, until ${link.expires_at}.\n`);
      }),
    );
  withEnd(keys.command('rotate'), seconds, 'as long as the old one was made to last')
    .description('make the successor of a key and print it, alone; the old one still opens until the overlap is over')
    .argument('<id>', 'its number in the list', wholeNumber)
    .addOption(
      new Option('--overlap <time>', 'how long both open, such as 30m, 24h or 7d')
        .argParser(seconds)
        .default(seconds('24h'), '24h'),
    )
    .action((id, options) => withDatabase((database) => rotate(database, id, options, { print, actor })));
  keys
    .command('revoke')
    .description(`revoke a key; running servers refuse it within ${cacheSeconds} s`)
    .argument('<id>', 'its number in the list', wholeNumber)
    .action((id) =>
      withDatabase(async (database) => {
        if (!(await revokeKey(database, id, actor))) throw new Error(`There is no key ${id} that still opens.`);
        print(`Key ${id} is revoked; running servers refuse it within ${cacheSeconds} s.`);
      }),
    );
}

async function list(database: Database, print: (line: string) => void): Promise<void> {
  print('ID\tBEGINS WITH\tORGANIZATION\tUSER\tSCOPES\tCREATED\tLAST USED\tEXPIRES\tREVOKED\tREPLACES');
  for (const key of await listKeys(database)) {
    const times = [key.created_at, key.last_used_at, key.expires_at, key.revoked_at];
    const fields = [key.key_id, key.key_hint, key.organization, key.user, key.scopes.join(','), ...times];
    print([...fields, key.replaces_key_id].map((field) => field ?? '-').join('\t'));
  }
}

interface EndOptions {
  expiresIn?: number;
  expiresAt?: string;
}

async function rotate(
  database: Database,
  id: number,
  options: EndOptions & { overlap: number },
  { print, actor }: Pick<Surroundings, 'print' | 'actor'>,
): Promise<void> {
  const made = await rotateKey(database, id, options.overlap, termsOf(options).end, actor);
  print(made.key);
  process.stderr.write(`This is key ${made.keyId}. Key ${id} still opens until ${made.oldExpiresAt}.\n`);
}

function withEnd(command: Command, seconds: (time: string) => number, otherwise = 'never'): Command {
  return command
    .addOption(
      new Option(
        '--expires-in <time>',
        `when it ends: 30m, 24h, 90d or 12w from now (default: ${otherwise})`,
      ).argParser(seconds),
    )
    .addOption(
      new Option('--expires-at <date>', 'when it ends: 2027-01-31 or 2027-01-31T12:00:00Z')
        .argParser(comingTime)
        .conflicts('expiresIn'),
    );
}

function withTerms(command: Command, seconds: (time: string) => number): Command {
  return withEnd(
    command
      .addOption(owner.organization())
      .addOption(owner.user())
      .addOption(
        new Option('--scopes <list>', `what it may do, of ${scopes.join()}`)
          .argParser(scopeList)
          .default(['read', 'write', 'delete'], 'read,write,delete'),
      ),
    seconds,
  );
}

function termsOf({ scopes, expiresIn, expiresAt }: EndOptions & { scopes?: Scope[] }): KeyTerms {
  return { ...(scopes && { scopes }), end: { inSeconds: expiresIn, at: expiresAt } };
}

/** A key from where no other user of the machine sees it, as arguments are seen. */
async function readKey(
  { fromFile, fromEnv }: { fromFile?: string; fromEnv?: string },
  environment: Surroundings['environment'],
): Promise<string> {
  if (fromEnv !== undefined) return (environment[fromEnv] ?? '').trim();
  if (fromFile !== undefined) return (await readFile(fromFile, 'utf8')).trim();
  if (process.stdin.isTTY) process.stderr.write('The key, then Enter and Ctrl-D:\n');
  return (await text(process.stdin)).trim();
}

function scopeList(list: string): Scope[] {
  const chosen = [...new Set(list.split(','))];
  const wrong = chosen.filter((one) => !scopes.includes(one as Scope));
  if (wrong.length > 0) throw new InvalidArgumentError(`Scopes are ${scopes.join(', ')}, with commas and no spaces.`);
  return chosen as Scope[];
}

const secondsUpTo = (secondsMax: number) => (time: string) => {
  const amount = durationSeconds(time);
  if (amount !== undefined && amount <= secondsMax) return amount;
  throw new InvalidArgumentError(`A time is such as 30m, 24h, 90d or 12w, at most ${secondsMax / 86_400}d.`);
};

function comingTime(date: string): string {
  const at = parseDateTime(date);
  if (at !== undefined && Date.parse(at) > Date.now()) return at;
  throw new InvalidArgumentError('It is a time to come, such as 2027-01-31 or 2027-01-31T12:00:00Z.');
}

function wholeNumber(digits: string): number {
  if (!/^\d{1,15}$/.test(digits)) throw new InvalidArgumentError('It is a whole number.');
  return Number(digits);
}
