import { cp, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Program, run as runProgram } from '../../support/built-server.ts';
import { chunkPath } from '../support/attack.ts';
import { chunkBody } from '../support/bodies.ts';
import type { Ground, Row } from '../support/ground.ts';
import { commandOf } from '../support/lab.ts';

/** A newer version migrates beside a server that goes on, and sessions of SQL are in the way. */
export const database: Row[] = [
  {
    name: 'newer-tables-beside-which-it-serves',
    about: 'a newer version makes tables beside which this one may serve: it goes on',
    own: 'newer',
    run: (ground) =>
      withNewer(
        ground,
        'yes',
        (n) => `create table later_${n} (id integer primary key)`,
        async (migrate) => {
          await ground.watched(async () => {
            const { code } = await migrate().exit();
            if (code !== 0) ground.blame(`migrate ended with ${code}`);
            await sleep(1_500);
            const ready = await ground.ask('GET', '/readyz');
            if (ready.status !== 200) ground.blame(`/readyz is answered ${ready.status} ${ready.body}`);
          });
        },
      ),
  },
  {
    name: 'reader-in-transaction',
    about: 'a reader of SQL stays in a transaction while a newer version changes the table of chunks',
    own: 'newer',
    run: (ground) =>
      withNewer(
        ground,
        'yes',
        (n) => `alter table chunks add column later_${n} integer`,
        async (migrate) => {
          const session = await openSession(
            ground,
            'begin',
            'select count(*) from chunks',
            'select count(*) from streams',
          );
          await ground.watched(async () => {
            const program = migrate();
            // It tries again and again, and ingest goes on between its tries.
            await untilSaid(program, /wait|held|lock/i);
            await sleep(2 * ground.attackMs);
            await session.end();
            const { code } = await program.exit();
            if (code !== 0) ground.blame(`migrate ended with ${code}: ${program.stderr().slice(-300)}`);
          });
        },
      ),
  },
  {
    name: 'held-lock-of-migrations',
    about: 'a reader of SQL holds the lock of migrations: `migrate` says whom it waits for, chunks go on',
    own: 'newer',
    run: (ground) =>
      withNewer(
        ground,
        'yes',
        (n) => `create table later_${n} (id integer primary key)`,
        async (migrate) => {
          const session = await openSession(ground, `select pg_advisory_lock(${lockOfMigrations})`);
          await ground.watched(async () => {
            const program = migrate();
            await untilSaid(program, /wait|held|lock/i);
            await sleep(ground.attackMs);
            const said = program.stdout() + program.stderr();
            ground.note(`said ${JSON.stringify(said.slice(0, 200))}`);
            if (!/wait|held|lock/i.test(said)) ground.blame('migrate waits without a word');
            await session.end();
            const { code } = await program.exit();
            if (code !== 0) ground.blame(`migrate ended with ${code}`);
          });
        },
      ),
  },
  // The last of them, since nothing serves beside its tables.
  {
    name: 'newer-tables',
    about: 'a newer version makes tables that this one cannot serve: chunks 503 and /readyz 503, with the sentence',
    own: 'newer',
    run: (ground) =>
      withNewer(ground, 'no', breaking, async (migrate) => {
        const dataId = await ground.openStream(ground.keys.attacker);
        await ground.watched(
          async () => {
            const { code } = await migrate().exit();
            if (code !== 0) ground.blame(`migrate ended with ${code}`);
            await untilRefused(ground);
            await expectRefusals(ground, dataId);
          },
          // Chunks of everybody are refused from then on, which is what the row wants.
          { ingest: false },
        );
      }),
  },
];

/** A column that chunks of this version do not fill. */
const breaking = (n: number) => `alter table chunks add column later_${n} integer not null default 0;
  alter table chunks alter column later_${n} drop default`;

/** That of Kysely's migrator, by which versions of this server keep out of each other's way. */
const lockOfMigrations = '3853314791062309107';

let migrationCount = 0;

/** Adds a migration to a copy of the program, which keeps those of the rows before, and gives what runs its command `migrate`. */
async function withNewer(
  ground: Ground,
  mayServe: 'yes' | 'no',
  statement: (n: number) => string,
  work: (migrate: () => Program) => Promise<void>,
): Promise<void> {
  const { builtFolder, cluster, folder: parent } = ground.lab;
  const folder = join(parent, 'newer');
  if (migrationCount === 0) {
    for (const name of ['dist', 'package.json', 'migrations'])
      await cp(join(builtFolder, name), join(folder, name), { recursive: true });
    await symlink(new URL('../../../node_modules', import.meta.url), join(folder, 'node_modules'));
  }
  const n = ++migrationCount;
  const why = `-- A migration of a version to come, for the tests.\n-- The release before may serve beside this: ${mayServe}.`;
  await writeFile(join(folder, `migrations/99${String(n).padStart(2, '0')}_later.sql`), `${why}\n${statement(n)};\n`);
  const script = commandOf(folder);
  await work(() => runProgram(folder, script, ['migrate'], { DATABASE_URL: cluster.url(ground.site.database) }));
}

/** Waits until a program has said it, for four seconds at most; the row looks at what it has said. */
async function untilSaid(program: Program, what: RegExp): Promise<void> {
  const said = () => program.stdout() + program.stderr();
  for (const until = performance.now() + 4_000; performance.now() < until && !what.test(said()); ) await sleep(50);
}

/** Waits until the server says that it cannot go on, for four seconds at most; the row looks at how it says it. */
async function untilRefused(ground: Ground): Promise<void> {
  for (const until = performance.now() + 4_000; performance.now() < until; await sleep(50)) {
    if ((await ground.ask('GET', '/readyz')).status === 503) return;
  }
}

async function openSession(ground: Ground, ...statements: string[]): Promise<pg.Client> {
  const session = new pg.Client({ connectionString: ground.lab.cluster.url(ground.site.database) });
  session.on('error', () => {});
  await session.connect();
  for (const statement of statements) await session.query(statement);
  return session;
}

async function expectRefusals(ground: Ground, dataId: string): Promise<void> {
  const body = chunkBody({ dataId, index: 0, channel: 'x' }, 10);
  const chunk = await ground.ask('POST', chunkPath, { key: ground.keys.attacker, body });
  const ready = await ground.ask('GET', '/readyz');
  ground.note(`chunk ${chunk.status} ${chunk.body}; /readyz ${ready.status} ${ready.body}`);
  for (const [what, answer] of [['a chunk', chunk] as const, ['/readyz', ready] as const]) {
    if (answer.status !== 503) ground.blame(`${what} is answered ${answer.status} ${answer.body}`);
  }
  if (ready.status === 503 && !/release|version|migrat/.test(ready.body)) ground.blame('/readyz does not say why');
}
