import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Scope, scopes } from '../auth/identity.ts';
import { type NamedKeyRow, nextKeys } from '../auth/key-list-store.ts';
import { revokeKeysOf } from '../auth/key-revocation-store.ts';
import { createKey, importKey, type KeyTerms, rotateKey } from '../auth/keys.ts';
import { type AuthLimits, authLimits } from '../auth/limits.ts';
import { organizationCalled, userCalled } from '../auth/people.ts';
import { createLink, signInLink } from '../auth/sessions.ts';
import { revokeKey } from '../auth/store.ts';
import type { Actor } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import { parseDateTime } from '../lib/date-time.ts';
import { durationSeconds } from '../lib/duration.ts';
import { rowPages } from '../lib/row-pages.ts';
import { type Columns, jsonHelp, jsonOption, type Listing, wholeNumber } from './listing.ts';
import { owner, type WithDatabase } from './surroundings.ts';

const about = (cacheSeconds: number) => `
Scopes:
  read    every GET
  delete  every DELETE, and restoring what was deleted
  write   the rest: streams, chunks, samples, projects, tags, instruments
  admin   administration: keys and audit log of the organization, and /metrics (of all organizations) from other hosts

A key is stored as its SHA-256 and cannot be shown again. Running servers know a new key at once, and refuse one that was
revoked or has ended within ${cacheSeconds} s.`;

interface Surroundings {
  withDatabase: WithDatabase;
  listing: Listing;
  print: (line: string) => void;
  environment: Record<string, string | undefined>;
  /** Who runs the command, for the audit log. */
  actor: Actor;
  /** The address at which a browser reaches the server, as far as the settings say. */
  pageUrl: () => Promise<string>;
  limits?: AuthLimits;
}

/** `metrology-server keys …`: make, import, list, replace and revoke keys. A key is never an argument of a command. */
export function addKeysCommands(
  keys: Command,
  { withDatabase, listing, print, environment, actor, pageUrl, limits = authLimits }: Surroundings,
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
  addList(keys.command('list'), { withDatabase, listing, actor, limits });
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
  addRevoke(keys.command('revoke'), { withDatabase, listing, actor, limits });
}

const columns: Columns<NamedKeyRow> = {
  ID: (key) => key.key_id,
  'BEGINS WITH': (key) => key.key_hint,
  ORGANIZATION: (key) => key.organization_name,
  USER: (key) => key.user_name,
  SCOPES: (key) => key.scopes,
  CREATED: (key) => key.created_at,
  'LAST USED': (key) => key.last_used_at,
  EXPIRES: (key) => key.expires_at,
  REVOKED: (key) => key.revoked_at,
  REPLACES: (key) => key.replaces_key_id,
};

interface OfKeys {
  organization?: string;
  user?: string;
}

type KeyCommandDependencies = Pick<Surroundings, 'withDatabase' | 'listing' | 'actor'> & { limits: AuthLimits };

function addList(command: Command, { withDatabase, listing, limits: { listedRowsMax } }: KeyCommandDependencies): void {
  command
    .description('list keys, without the keys themselves')
    .option('--organization <name>', 'those of an organization (default: all)')
    .option('--user <name>', 'those of a user of it')
    .option('--open', 'those that still open', false)
    .addOption(jsonOption())
    .addHelpText('after', jsonHelp)
    .action(({ open, json, ...whose }: OfKeys & { open: boolean; json: boolean }) =>
      withDatabase(async (database) => {
        const filter = { ...(await whoseKeys(database, whose)), ...(open && { state: 'open' as const }) };
        const next = (after?: NamedKeyRow) => nextKeys(database, filter, after, listedRowsMax);
        await listing.list(rowPages<NamedKeyRow>(listedRowsMax, next), columns, json);
      }),
    );
}

function addRevoke(command: Command, { withDatabase, listing, actor, limits }: KeyCommandDependencies): void {
  const soon = `running servers refuse it within ${limits.keyCacheMsMax / 1_000} s`;
  command
    .description(`revoke a key, or all keys of a user, and end their sessions; ${soon}`)
    .argument('[id]', 'its number in the list', wholeNumber)
    .option('--organization <name>', 'all keys of an organization instead; without --user it needs --yes')
    .option('--user <name>', 'those of a user of it')
    .option('--yes', 'really', false)
    .addOption(jsonOption())
    .addHelpText('after', jsonHelp)
    .action((id: number | undefined, { yes, json, ...whose }: OfKeys & { yes: boolean; json: boolean }) => {
      const { organization, user } = whose;
      if ((id === undefined) === (organization === undefined) || (id !== undefined && user !== undefined))
        throw new Error('Name either the number of a key, or --organization, with --user for one person of it.');
      if (organization !== undefined && user === undefined && !yes)
        throw new Error(
          `This would revoke every key of the organization "${organization}". Say --yes, or name a --user.`,
        );
      return withDatabase(async (database) => {
        if (id !== undefined) {
          if (!(await revokeKey(database, id, actor))) throw new Error(`There is no key ${id} that still opens.`);
          return listing.tell({ key_id: id, state: 'revoked' }, `Key ${id} is revoked; ${soon}.`, json);
        }
        const { organizationId = '', userId } = await whoseKeys(database, whose);
        const revoked = await revokeKeysOf(database, { organizationId, userId }, actor);
        for (const key_id of revoked)
          listing.tell({ key_id, state: 'revoked' }, `Key ${key_id} is revoked; ${soon}.`, json);
        if (revoked.length === 0 && !json) listing.say('There was no key that still opens.');
      });
    });
}

/** @throws Error with a sentence when there is no such organization or user */
async function whoseKeys(database: Database, { organization, user }: OfKeys) {
  if (organization === undefined) {
    if (user !== undefined) throw new Error('A user is one of an organization: name it with --organization.');
    return {};
  }
  const named = await organizationCalled(database, organization);
  const userId = user === undefined ? undefined : (await userCalled(database, named, user)).id;
  return { organizationId: named.id, userId };
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

/** Reads a key from a variable, a file or standard input, because every user of the machine can see arguments. */
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
