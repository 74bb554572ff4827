import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const src = fileURLToPath(new URL('../src', import.meta.url));

interface Import {
  from: string;
  to: string;
  /** Nothing of it is there at run time. */
  isTypeOnly: boolean;
}

interface File {
  path: string;
  text: string;
  imports: Import[];
}

const importPattern = /(?:^(?:import|export)\s+(type\s+)?((?:[^'";]*?)\sfrom\s+)?|\bimport\()'(\.{1,2}\/[^']+)'/gm;

const files: File[] = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.tsx?$/.test(path))
  .sort()
  .map((path) => {
    const text = readFileSync(join(src, path), 'utf8');
    const imports = [...text.matchAll(importPattern)].map(([, type, names = '', target]) => ({
      from: path,
      to: relative(src, join(src, dirname(path), target as string)),
      isTypeOnly: Boolean(type) || namesOf(names).every((name) => name.startsWith('type ')),
    }));
    return { path, text, imports };
  });
const imports = files.flatMap((file) => file.imports);

function namesOf(clause: string): string[] {
  const inside = /\{([^}]*)\}/.exec(clause)?.[1] ?? 'everything';
  return inside
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
}

/** `streams`, `catalogue/tags`, …; a file that stands in no room is a room of its own, such as `config`. */
function roomOf(path: string): string {
  const parts = path.replace(/\.tsx?$/, '').split('/');
  return parts.length > 2 && parts[0] === 'catalogue' ? parts.slice(0, 2).join('/') : (parts[0] as string);
}

/** `store` for `chunk-store.ts` too. */
const layerOf = (path: string) => path.replace(/\.ts$/, '').split(/[/-]/).at(-1);
const shown = ({ from, to }: Import) => `${from} -> ${to}`;

const shared = ['config', 'contract', 'errors', 'lib'];
const below = [...shared, 'database', 'auth', 'http'];

/** Who may import whom: an arrow points to what is nearer to PostgreSQL. */
const arrows: Record<string, string[]> = {
  main: ['config', 'errors', 'process'],
  commands: [
    'process',
    'app',
    'demo',
    'testing',
    'distribution',
    'repack',
    'retention',
    'verify',
    'doctor',
    'provisioning',
    'backups',
    'audit',
    'catalogue',
    'catalogue/*',
    ...below,
  ],
  process: ['app', 'backups', 'provisioning', ...below],
  app: [
    'streams',
    'points',
    'timeseries',
    'ledger',
    'exports',
    'audit',
    'backups',
    'live',
    'overviews',
    'catalogue',
    'catalogue/*',
    'config',
    'database',
    'auth',
    'http',
  ],
  // A client like any other: it knows the server by its HTTP alone.
  demo: [],
  // Makes what the read engine reads.
  overviews: ['points', 'lib', 'database'],
  verify: ['overviews', 'database'],
  repack: ['database'],
  distribution: ['database'],
  doctor: ['lib', 'database', 'backups'],
  backups: ['database', 'http', 'lib'],
  // An archive is an export with a certificate; what it brings back is stored as ingest stores it.
  retention: ['streams', 'exports', 'ledger', 'points', ...below],
  // It makes by the functions of each room what a command would make, and checks the rules that may stand in the same file.
  provisioning: ['retention', 'catalogue/projects', 'lib', 'database', 'auth'],
  // The same in a browser.
  page: [],
  // The test mode: the whole server, and what a test does to it. Its client for other programs stands in it too.
  testing: ['app', ...below],
  streams: below,
  timeseries: ['points', ...below],
  points: [...shared, 'database'],
  ledger: below,
  audit: ['errors', 'lib', 'database', 'http'],
  live: below,
  // A file is what the reads read and the catalogue knows, in another form.
  exports: ['points', 'catalogue', 'catalogue/*', ...below],
  // Whether a name is taken is asked alike of every table that has names.
  catalogue: [...shared, 'http', 'database'],
  // Removal keeps to the order in which ingest locks.
  'catalogue/*': [...below, 'catalogue', 'streams'],
  // The key of a request is looked up for every route, so http stands above auth.
  http: [...shared, 'database', 'auth'],
  auth: [...shared, 'database'],
  database: ['lib'],
  config: ['contract', 'lib'],
  contract: [],
  errors: [],
  lib: [],
};

/** Arrows that the rules would forbid, each with its reason. */
const exceptions: Record<string, string> = {
  'catalogue/projects/routes.ts -> catalogue/physical-samples/schemas.ts':
    'the samples of a project are answered in the shape of samples',
  'catalogue/projects/routes.ts -> catalogue/physical-samples/service.ts':
    'the samples of a project are read by the statement of samples',
  'catalogue/json-document.ts -> http/schemas.ts': 'what text can be stored is said once, beside the schemas',
  'streams/service.ts -> http/metrics.ts': 'only the type of the counters that it is given',
};
const isException = (one: Import) => shown(one) in exceptions;

describe('imports', () => {
  test('are found by this test', () => {
    expect(files.length).toBeGreaterThan(50);
    expect(imports.length).toBeGreaterThan(150);
    const known = new Set(files.map((file) => file.path));
    expect(imports.filter((one) => !known.has(one.to)).map(shown)).toEqual([]);
    for (const file of files) {
      const relatives = file.text.match(/'\.{1,2}\/[^']+\.tsx?'/g) ?? [];
      expect(file.imports, `${file.path}: an import is written in a way that this test does not read`).toHaveLength(
        relatives.length,
      );
    }
  });

  test('follow the arrows', () => {
    const allowed = (from: string) => arrows[from] ?? arrows[from.replace(/\/.*/, '/*')] ?? [];
    const wrong = imports
      .filter(({ from, to }) => roomOf(from) !== roomOf(to))
      .filter(({ from, to }) => {
        const targets = allowed(roomOf(from));
        return !targets.includes(roomOf(to)) && !targets.includes(roomOf(to).replace(/\/.*/, '/*'));
      });
    expect(wrong.filter((one) => !isException(one)).map(shown)).toEqual([]);
  });

  test('the arrows have no circle, and no room goes unmentioned', () => {
    const rooms = [...new Set(files.map((file) => roomOf(file.path)))];
    const rowOf = (room: string) => (room in arrows ? room : room.replace(/\/.*/, '/*'));
    for (const room of rooms) expect(arrows, `who may ${room} import?`).toHaveProperty([rowOf(room)]);
    const reach = (room: string, path: string[]): void => {
      expect(path, `a circle: ${[...path, room].join(' -> ')}`).not.toContain(room);
      for (const next of arrows[room] ?? []) reach(rowOf(next), [...path, room]);
    };
    for (const room of Object.keys(arrows)) reach(room, []);
  });

  test('are few between the folders of src: 91 before they were rebuilt; the rooms that have come since bring their own', () => {
    const folderOf = (path: string) => roomOf(path).split('/')[0];
    const between = imports.map(({ from, to }) => [folderOf(from), folderOf(to)]).filter(([from, to]) => from !== to);
    // Overviews five, audit six, backups six, retention nine, doctor four, provisioning seven, distribution two.
    expect(new Set(between.map((arrow) => arrow.join(' -> '))).size).toBeLessThan(91 + 5 + 6 + 6 + 9 + 4 + 7 + 2);
  });

  test('files have no circle, imports of types included', () => {
    const importsOf = new Map(files.map(({ path, imports }) => [path, imports.map(({ to }) => to)]));
    const known = new Set<string>();
    const circles: string[] = [];
    const visit = (path: string, way: string[]): void => {
      if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(' -> '));
      if (way.includes(path) || known.has(path)) return;
      for (const next of importsOf.get(path) ?? []) visit(next, [...way, path]);
      known.add(path);
    };
    for (const { path } of files) visit(path, []);
    expect(circles).toEqual([]);
  });

  test('points are read by the one way in, and an export knows of the engine only what comes out there', () => {
    const engine = imports.filter(({ from, to }) => to.startsWith('points/') && !from.startsWith('points/'));
    const named = (names: string[]) => names.map((name) => `points/${name}.ts`);
    const open = named(['read', 'points', 'selection', 'limits', 'time']);
    // Overviews are made in the form in which they are read.
    const ofOverviews = named(['overview', 'range-statistics']);
    const beyond = engine.filter(({ to }) => !open.includes(to));
    expect(
      beyond.filter(({ from, to }) => roomOf(from) !== 'overviews' || !ofOverviews.includes(to)).map(shown),
    ).toEqual(['timeseries/statistics-answer.ts -> points/range-statistics.ts']);
    const exported = engine.filter(({ from }) => from.startsWith('exports/')).map(({ to }) => to);
    expect([...new Set(exported)].sort()).toEqual(open.filter((path) => path !== 'points/time.ts').sort());
  });

  test('layers: stores and services know no routes, stores no service, and no store calls a store', () => {
    const forbidden: Record<string, string[]> = {
      store: ['routes', 'service', 'store'],
      service: ['routes'],
      schemas: ['routes', 'service', 'store'],
    };
    const wrong = imports.filter(
      ({ from, to }) => from !== to && forbidden[layerOf(from) ?? '']?.includes(layerOf(to) ?? ''),
    );
    expect(wrong.filter((one) => !isException(one)).map(shown)).toEqual([]);
  });

  test('below the routes nothing knows HTTP, and rooms know of auth only who asks', () => {
    const isRoom = (path: string) => /^(streams|timeseries|ledger|exports|audit|live|catalogue)\//.test(path);
    // A room that reads its bodies by itself does so above its service: chunk-body, chunk-reader, chunk-thread.
    const mayKnowHttp = ['routes', 'schemas', 'body', 'reader', 'thread'];
    const speaksHttp = ({ from, to }: Import) => to.startsWith('http/') && !mayKnowHttp.includes(layerOf(from) ?? '');
    const seesSecrets = ({ to, isTypeOnly }: Import) => to.startsWith('auth/') && !isTypeOnly;
    const wrong = imports.filter((one) => isRoom(one.from) && (speaksHttp(one) || seesSecrets(one)));
    expect(wrong.filter((one) => !isException(one)).map(shown)).toEqual([]);
    const metrics = imports.filter((one) => shown(one) === 'streams/service.ts -> http/metrics.ts');
    expect(metrics.every((one) => one.isTypeOnly)).toBe(true);
  });

  test('there is one feed between rooms, of what has been committed, and no emitter', () => {
    const emitters = files.filter(({ text }) => /EventEmitter|EventTarget|\.emit\(/.test(text)).map(({ path }) => path);
    // A connection that it has accepted is handed to the server of HTTP.
    // Nor is a request that asks for leave to send its body, which is to be one like the others.
    expect(emitters).toEqual(['http/connections.ts', 'process/listen.ts']);
    const feeds = files.filter(({ text }) => /export type On[A-Z]\w* =/.test(text)).map(({ path }) => path);
    expect(feeds).toEqual(['streams/committed.ts']);
  });

  test('Fastify is known in http, routes and app only; process.env in the programs only', () => {
    const fastify = files.filter((file) => /from 'fastify'/.test(file.text)).map((file) => file.path);
    expect(fastify.filter((path) => !/^http\/|^testing\/|^app\.ts$|\/routes\.ts$/.test(path))).toEqual([]);
    const environment = files.filter((file) => /process\.env/.test(file.text)).map((file) => file.path);
    // Of the last another program is the one that runs.
    const own = ['main.ts', 'commands/cli.ts', 'commands/test-alone.ts', 'testing/client.ts'];
    expect(environment.filter((path) => !own.includes(path) && !path.startsWith('database/embedded'))).toEqual([]);
  });

  test('only ingest, keys, upkeep and operation go where all organizations are seen', () => {
    const unbound = files.filter(({ text }) => /\beveryOrganization\b/.test(text)).map((file) => file.path);
    expect(unbound.filter((path) => path !== 'database/database.ts')).toEqual([
      // By a command, for the operator.
      'audit/store.ts',
      'auth/key-list-store.ts',
      'auth/key-revocation-store.ts',
      'auth/people-store.ts',
      'auth/session-store.ts',
      'auth/store.ts',
      'backups/backup.ts',
      'backups/schedule.ts',
      'commands/doctor.ts',
      'database/whole.ts',
      'live/look-store.ts',
      'overviews/check-store.ts',
      'overviews/store.ts',
      'process/open-database.ts',
      'repack/repack.ts',
      'repack/store.ts',
      'retention/due-store.ts',
      'retention/restore-run.ts',
      'retention/restore-store.ts',
      'retention/retention-lock.ts',
      'streams/flush.ts',
      'streams/revision-store.ts',
      'streams/stored-metrics.ts',
      'verify/store.ts',
    ]);

    const opens = files.filter(({ path, text }) => path !== 'database/database.ts' && /openAsOwner\(/.test(text));
    expect(opens.map((file) => file.path)).toEqual([
      'commands/cli.ts',
      'commands/doctor.ts',
      'process/open-database.ts',
      'testing/made-cluster.ts',
      'testing/serve.ts',
    ]);
  });

  test('the test mode is reached by its command alone', () => {
    const reached = imports.filter(({ from, to }) => to.startsWith('testing/') && !from.startsWith('testing/'));
    expect([...new Set(reached.map(({ from }) => from))]).toEqual(['commands/test.ts']);
    const words = files.filter(({ path, text }) => !path.startsWith('testing/') && /_test\/|testing\//.test(text));
    expect(words.map(({ path }) => path)).toEqual(['commands/test.ts']);
  });

  test('who answers for one organization has its handle, which its route has asked for, and not the whole database', () => {
    const whole = imports.filter(({ from, to }) => to === 'database/database.ts' && !/\/routes\.ts$/.test(from));
    const rooms = /^(streams|points|timeseries|ledger|exports|audit|live|catalogue)\//;
    const wrong = whole.filter(({ from }) => rooms.test(from)).map(({ from }) => from);
    // Ingest writes for many organizations in one flush, what is old goes for all, the operator sees who did what, and one look finds whose runs have changed.
    expect(wrong).toEqual([
      ...['old-entries', 'store'].map((name) => `audit/${name}.ts`),
      ...['live', 'look-store'].map((name) => `live/${name}.ts`),
      ...['flush', 'ingest-calls', 'old-revisions', 'revision-store', 'service', 'stored-metrics'].map(
        (name) => `streams/${name}.ts`,
      ),
    ]);
    const asks = files.filter(({ text }) => /\bdatabase\.as\(/.test(text)).map(({ path }) => path);
    // That of a read ends with its client, so routes are given it by the door.
    // Retention goes through the runs of all, each by the handle of its organization.
    const mayAsk = [
      'commands/cli.ts',
      'commands/surroundings.ts',
      'http/key-routes.ts',
      'http/readings.ts',
      'streams/service.ts',
      // A file says what each organization has.
      'provisioning/provision.ts',
      'retention/apply-rules.ts',
      'retention/restore-run.ts',
    ];
    expect(asks.filter((path) => !/\/routes\.ts$/.test(path) && !mayAsk.includes(path))).toEqual([]);
  });

  test('every statement is given a handle of one organization, a connection that works for it, or means that say otherwise', () => {
    const firsts = files
      .filter(({ path }) => layerOf(path) === 'store')
      .flatMap(({ path, text }) =>
        [
          ...text.matchAll(/^export (?:async )?function (\w+)(?:<[^(]*>)?\(\s*(?:\{[^}]*\}|\w+): ([\w.]+(?:<\w+)?)/gm),
        ].map(([, name, type]) => ({ statement: `${path} ${name}`, type })),
      );
    expect(firsts.length).toBeGreaterThan(50);
    const bound = firsts.filter(({ type }) => type === 'OrganizationDatabase');
    expect(bound.length).toBeGreaterThan(35);
    const others = firsts.filter(({ type }) => type !== 'OrganizationDatabase');
    const rooms = new Set(others.map(({ statement, type }) => `${statement.split('/')[0]}: ${type}`));
    expect([...rooms].sort()).toEqual([
      // The operator's list, and what is too old.
      'audit: Database',
      'auth: Database',
      // Keys are made by the operator and by who asks for one organization.
      'auth: Way',
      // All of every table, for the operator.
      'backups: pg.PoolClient',
      // A look at all runs that are followed.
      'live: Database',
      // Made behind ingest, for whoever has sent, and checked by the operator.
      'overviews: Database',
      // The form of what is stored, of all organizations.
      'repack: Database',
      'repack: pg.PoolClient',
      // Runs of all organizations that are old, and the lock of who goes through them.
      'retention: Database',
      'retention: Pick<pg',
      // Old revisions of all organizations.
      'streams: Database',
      // A flush and its transaction.
      'streams: Pick<FlushDependencies',
      'streams: pg.PoolClient',
      // All that a server for tests holds is emptied and moved in time at once.
      'testing: OwnerDatabase',
      'verify: Database',
    ]);
  });

  test('limits are given: the defaults of a room are the beginning of options, or of a parameter, and nothing else', () => {
    const settings = ['Config', 'ConfigError', 'ConfigSchema', 'readConfig'];
    const { text } = files.find(({ path }) => path === 'config.ts') as File;
    const exported = [...text.matchAll(/^export \w+ (\w+)/gm)];
    expect([...new Set(exported.map(([, name]) => name))].sort()).toEqual(settings);

    const names = files
      .filter(({ path }) => path.endsWith('/limits.ts'))
      .flatMap(({ text }) => [...text.matchAll(/^export const (\w+Limits) =/gm)].map(([, name]) => name as string));
    expect(names.length).toBeGreaterThan(8);
    const asDefault = new RegExp(`(?:\\.\\.\\.|= )(?:${names.join('|')})(?=[,)\\n]| })`, 'g');
    const name = new RegExp(`(?<![\\w.])(?:${names.join('|')})(?!\\w|\\??:)`);
    const wrong = files
      .filter(({ path }) => !path.endsWith('/limits.ts'))
      .flatMap(({ path, text }) => {
        const code = text.replace(/^import [^;]*;/gm, '').replace(/\/\*\*[\s\S]*?\*\//g, '');
        const lines = code.replaceAll(asDefault, '').split('\n');
        return lines.filter((line) => name.test(line)).map((line) => `${path}: ${line.trim()}`);
      });
    expect(wrong).toEqual([
      // Its options have names of their own.
      'database/migrate.ts: const { migrationLockMsMax, migrationPauseMs, migrationTellMs } = databaseLimits;',
    ]);
  });

  test('nobody imports a program, and every exception is needed', () => {
    const programs = ['main.ts', 'commands/metrology-server.ts', 'commands/cli.ts', 'commands/test-alone.ts'];
    expect(imports.filter(({ to }) => programs.includes(to)).map(shown)).toEqual([
      // Which of the two is needed depends on the command.
      'commands/metrology-server.ts -> commands/test-alone.ts',
      'commands/metrology-server.ts -> commands/cli.ts',
    ]);
    const there = new Set(imports.map(shown));
    expect(Object.keys(exceptions).filter((arrow) => !there.has(arrow))).toEqual([]);
  });
});

describe('SQL', () => {
  /** What runs: without comments and imports. */
  const codeOf = ({ text }: File) =>
    text
      .replace(/\/\*[\s\S]*?\*\//g, '')
      .replace(/(?<![:'"`\w])\/\/ .*/g, '')
      .replace(/^import [^;]*;/gm, '');
  const linesWith = (pattern: RegExp, but: string[]) =>
    files
      .filter(({ path }) => !but.includes(path) && !path.startsWith('page/'))
      .flatMap((file) =>
        codeOf(file)
          .split('\n')
          .map((line) => `${file.path}: ${line.trim()}`),
      )
      .filter((line) => pattern.test(line));

  test('is written as SQL: of Kysely the tag `sql` is used, and what runs it', () => {
    const names = files.flatMap(({ path, text }) =>
      [...text.matchAll(/^import (type )?([^;]*?) from 'kysely(?:\/[^']*)?';/gm)].flatMap(([, , clause = '']) =>
        namesOf(clause).map((name) => `${path}: ${name.replace(/^type /, '')}`),
      ),
    );
    expect(names.length).toBeGreaterThan(5);
    expect(names.filter((name) => !/: (sql|RawBuilder)$/.test(name))).toEqual([
      'database/access.ts: Kysely',
      'database/access.ts: PostgresDialect',
      'database/access.ts: QueryExecutorProvider',
    ]);
    expect(linesWith(/\.(selectFrom|insertInto|updateTable|deleteFrom|mergeInto|withRecursive)\(/, [])).toEqual([]);
  });

  test('errors of PostgreSQL are known by the names of sqlstates.ts, and by no code that stands elsewhere', () => {
    // A size such as '256MB' is none.
    const code = /(['"`])(?:\d\w|[A-Z]\d|XX)(?!\w[KMG]B)[0-9A-Z]{3}\1/;
    const inPattern = /\/\^?\(?(?:\d[0-9A-Z]|XX)[^/]*\/\.(?:test|exec)|\bcode\b.*\.startsWith\('/;
    const owner = ['database/sqlstates.ts'];
    expect(linesWith(code, owner)).toEqual([]);
    expect(linesWith(inPattern, owner)).toEqual([]);
    expect(linesWith(code, []).length).toBeGreaterThan(10);
  });

  test('what the driver does not promise is leant on in driver.ts alone: its members, and errors told apart by text', () => {
    const driver = ['database/driver.ts'];
    const members =
      /\.connection\b|\b(processID|secretKey|submittedNamedStatements|parsedStatements)\b|\.(cork|uncork)\(/;
    expect(linesWith(members, driver).filter((line) => !/^(http|process|live)\//.test(line))).toEqual([]);
    const byText = /message\)?\.(includes|startsWith|match)\(|message === '|\.test\([^)]*message/;
    expect(linesWith(byText, driver)).toEqual([
      // What a PostgreSQL that does not come up has left in its log.
      expect.stringContaining('database/embedded/postmaster.ts: const held ='),
    ]);
    expect(linesWith(/new pg\.DatabaseError\(/, driver)).toEqual([]);
  });
});

describe('files', () => {
  test('have at most 300 lines', () => {
    const long = files.map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }));
    expect(long.filter(({ lines }) => lines > 300)).toEqual([]);
  });

  test('have functions of at most 70 lines, which Biome counts', () => {
    const { linter } = JSON.parse(readFileSync(join(src, '../biome.json'), 'utf8'));
    const rule = { level: 'error', options: { maxLines: 70 } };
    expect(linter.rules.complexity.noExcessiveLinesPerFunction).toEqual(rule);
    const silenced = files.filter(({ text }) => /biome-ignore lint\/complexity/.test(text)).map(({ path }) => path);
    expect(silenced).toEqual([]);
  });

  test('are named in kebab-case', () => {
    const odd = files.filter(
      ({ path }) => !/^([a-z0-9]+(-[a-z0-9]+)*\/)*[a-z0-9]+(-[a-z0-9]+)*\.(ts|tsx|d\.ts)$/.test(path),
    );
    expect(odd.map(({ path }) => path)).toEqual([]);
  });

  test('export by name only', () => {
    const wrong = files.filter(({ text }) => /^export (default|\*)|\bas default\b/m.test(text));
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test('export each name once: one name is one thing', () => {
    // What is a client has names of its own for what it is told: the page, the demo and the wire of the client for tests.
    const isClient = (path: string) => /^(page|demo)\/|^testing\/wire\.ts$/.test(path);
    const exported = /^export (?:abstract |async )?(?:const|let|function\*?|class|interface|type) (\w+)/gm;
    const places = new Map<string, string[]>();
    for (const { path, text } of files.filter(({ path }) => !isClient(path))) {
      const names = new Set([...text.matchAll(exported)].map(([, name]) => name as string));
      for (const name of names) places.set(name, [...(places.get(name) ?? []), path]);
    }
    expect(places.size).toBeGreaterThan(1_000);
    expect([...places].filter(([, paths]) => paths.length > 1)).toEqual([]);
  });

  test('write no name of a field into JSON: an answer that streams has them from its schema, by lib/json-fields', () => {
    const wrong = files
      // A schema describes, and the page is a client.
      .filter(({ path }) => !path.startsWith('page/') && !path.endsWith('schemas.ts'))
      .flatMap(({ path, text }) => {
        const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
        return [...code.matchAll(/[{,[]"\w+\\?":/g)].map(([name]) => `${path}: ${name}`);
      });
    expect(wrong).toEqual([]);
  });

  test('name things by what they are', () => {
    const empty = /\b(?:class|interface|type|function|const|let)\s+(\w*(?:Manager|Helper|Utils?|Impl)\w*)/gi;
    const word = /(Manager|Helper|Util|Utils|Impl)(?![a-z])|^(manager|helper|utils?|impl)(?![a-z])/;
    const names = files.flatMap(({ text }) => [...text.matchAll(empty)].map(([, name]) => name as string));
    expect(names.filter((name) => word.test(name))).toEqual([]);
    expect(files.filter(({ path }) => /(manager|helper|utils?|impl)[./]/.test(path)).map(({ path }) => path)).toEqual(
      [],
    );
  });

  test('a migration opens with its why, and no number is given twice', () => {
    const folder = join(src, '../migrations');
    const names = readdirSync(folder)
      .filter((name) => name !== 'SHA256SUMS')
      .sort();
    expect(new Set(names.map((name) => name.slice(0, 4))).size).toBe(names.length);
    for (const name of names) {
      expect(name).toMatch(/^\d{4}_[a-z0-9_]+\.sql$/);
      expect(readFileSync(join(folder, name), 'utf8')).toMatch(/^-- \S.{20}/);
    }
  });
});
