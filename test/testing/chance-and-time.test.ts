import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/*
 * Whatever a client can see of time and chance has to go through what the test mode moves and seeds: `now` of AppDependencies
 * in the server; now() and its like and gen_random_uuid() in PostgreSQL, which src/testing/shadows.ts stands in for. These
 * tests fail where a new use goes past that. If it is seen by no client, it gets a line here that says so.
 */

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

const timeOfServer = /\bDate\.now\b|\bnew Date\(\)|\bprocess\.hrtime\b/;
const chanceOfServer = /\b(randomUUID|randomBytes|randomInt|getRandomValues)\b|\bMath\.random\b/;
/** Not functions, so nothing can stand in for them; and functions that have no stand-in yet. */
const outOfReach =
  /\bcurrent_(timestamp|date|time)\b|\blocaltime(stamp)?\b|\btimeofday\(|'now'::|timestamp(?:tz)? 'now'|\buuidv[47]\(|(?<![.\w])random(_normal)?\(\)|\buuid_generate/i;
const pastTheStandIn = /pg_catalog\.(now|clock_timestamp|statement_timestamp|transaction_timestamp|gen_random_uuid)/i;

const unseen: Record<string, string> = {
  'app.ts': 'the default of `now`',
  'auth/api-key.ts': 'the default of the chance of a key',
  'auth/sql-readers.ts': 'a command: name and password of a role',
  'auth/tokens.ts': 'the default of the chance of a session and of a link',
  'backups/schedule.ts': 'the default of `now`: when a backup is due',
  'commands/audit.ts': 'a command: what `--since 2h` means',
  'commands/doctor.ts': 'a command: the clock that is compared',
  'commands/keys.ts': 'a command: the end of a key that is made',
  'commands/provision.ts': 'a command: which keys of a file have ended',
  'commands/retention.ts': 'a command: how old a run is',
  'commands/test.ts': 'the seed itself',
  'database/embedded/': 'files, passwords and waits of the embedded PostgreSQL',
  'database/scram.ts': 'the salt of a password',
  'demo/': 'a client',
  'database/migrate.ts': 'when a migration ran, which no client sees',
  'http/request-id.ts': 'tells the requests of many processes apart; who wants the same ids sends them',
  'exports/cache.ts': 'names and ages of files that are being made',
  'page/': 'runs in a browser',
  'process/server.ts': 'which keys of a file have ended at a start',
  'testing/movable-clock.ts': 'the true time, which is moved',
  'streams/service.ts': 'the default of `newId`',
  'testing/folders.ts': 'the age of folders that are left over',
};

const sources = readdirSync(at('src'), { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
const codeOf = (path: string) =>
  readFileSync(at(path), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*|(?<=^|\s)-- .*/gm, '');

test('time and chance of the server go through what can be moved and seeded', () => {
  const used = sources.filter((path) =>
    [timeOfServer, chanceOfServer].some((pattern) => pattern.test(codeOf(`src/${path}`))),
  );
  const isUnseen = (path: string) =>
    Object.keys(unseen).some((known) => path === known || (known.endsWith('/') && path.startsWith(known)));
  expect(used.filter((path) => !isUnseen(path))).toEqual([]);
  const needed = Object.keys(unseen).filter((known) => used.some((path) => path === known || path.startsWith(known)));
  expect(needed).toEqual(Object.keys(unseen));
});

test('statements and migrations use no time and no chance that nothing can stand in for', () => {
  const migrations = readdirSync(at('migrations')).map((name) => `migrations/${name}`);
  // The second is the stand-in of a cluster, on which the test mode never is.
  const standIns = ['src/testing/shadows.ts', 'src/distribution/distribute.ts'];
  const all = [...migrations, ...sources.map((path) => `src/${path}`)].filter((path) => !standIns.includes(path));
  expect(migrations.length).toBeGreaterThan(5);
  const wrong = all.filter((path) => [outOfReach, pastTheStandIn].some((pattern) => pattern.test(codeOf(path))));
  expect(wrong).toEqual([]);
});

test('the patterns see what they are to see', () => {
  for (const use of ['Date.now()', 'new Date()', 'process.hrtime()']) expect(use).toMatch(timeOfServer);
  for (const use of ['randomUUID()', 'Math.random()', 'randomBytes(3)']) expect(use).toMatch(chanceOfServer);
  for (const use of [
    'default current_timestamp',
    'localtimestamp',
    "'now'::timestamptz",
    "timestamptz 'now'",
    'uuidv7()',
    'random()',
  ]) {
    expect(use).toMatch(outOfReach);
  }
  expect('pg_catalog.now()').toMatch(pastTheStandIn);
  for (const use of [
    'now()',
    'clock_timestamp()',
    'gen_random_uuid()',
    'mode.random()',
    "Pick<FlushDependencies, 'now'>",
  ]) {
    expect(use).not.toMatch(outOfReach);
  }
});
