import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Program, run as runProgram } from '../../built-server.ts';
import { chunkPath } from '../support/attack.ts';
import { chunkBody } from '../support/bodies.ts';
import type { Ground, Row } from '../support/ground.ts';
import { commandOf } from '../support/lab.ts';

/** A newer version migrates beside a server that goes on, and sessions of SQL are in the way. */
export const database: Row[] = [
  {
    name: 'newer-tables',
    about: 'a newer version makes tables that this one cannot serve: chunks 503 and /readyz 503, with the sentence',
    own: {},
    run: (ground) =>
      withNewer(ground, 'no', breaking, async (migrate) => {
        const dataId = await ground.openStream(ground.keys.attacker);
        await ground.watched(
          async () => {
            const { code } = await migrate().exit();
            if (code !== 0) ground.blame(`migrate ended with ${code}`);
            await sleep(2_000);
            await expectRefusals(ground, dataId);
          },
          { ingest: false },
        );
      }),
  },
  {
    name: 'newer-tables-beside-which-it-serves',
    about: 'a newer version makes tables beside which this one may serve: it goes on',
    own: {},
    run: (ground) =>
      withNewer(ground, 'yes', 'create table later (id integer primary key)', async (migrate) => {
        await ground.watched(async () => {
          const { code } = await migrate().exit();
          if (code !== 0) ground.blame(`migrate ended with ${code}`);
          await sleep(1_500);
          const ready = await ground.ask('GET', '/readyz');
          if (ready.status !== 200) ground.blame(`/readyz is answered ${ready.status} ${ready.body}`);
        });
      }),
  },
  {
    name: 'reader-in-transaction',
    about: 'a reader of SQL stays in a transaction while a newer version changes the table of chunks',
    own: {},
    run: (ground) =>
      withNewer(ground, 'yes', 'alter table chunks add column later integer', async (migrate) => {
        const session = await openSession(
          ground,
          'begin',
          'select count(*) from chunks',
          'select count(*) from streams',
        );
        await ground.watched(async () => {
          const program = migrate();
          await sleep(4_000);
          await session.end();
          const { code } = await program.exit();
          if (code !== 0) ground.blame(`migrate ended with ${code}: ${program.stderr().slice(-300)}`);
        });
      }),
  },
  {
    name: 'held-lock-of-migrations',
    about: 'a reader of SQL holds the lock of migrations: `migrate` says whom it waits for, chunks go on',
    own: {},
    run: (ground) =>
      withNewer(ground, 'yes', 'create table later (id integer primary key)', async (migrate) => {
        const session = await openSession(ground, `select pg_advisory_lock(${lockOfMigrations})`);
        await ground.watched(async () => {
          const program = migrate();
          await sleep(4_000);
          const said = program.stdout() + program.stderr();
          ground.note(`said ${JSON.stringify(said.slice(0, 200))}`);
          if (!/wait|held|lock/i.test(said)) ground.blame('migrate waits without a word');
          await session.end();
          const { code } = await program.exit();
          if (code !== 0) ground.blame(`migrate ended with ${code}`);
        });
      }),
  },
];

/** A column that chunks of this version do not fill. */
const breaking = `alter table chunks add column later integer not null default 0;
  alter table chunks alter column later drop default`;

/** That of Kysely's migrator, by which versions of this server keep out of each other's way. */
const lockOfMigrations = '3853314791062309107';

/** Copies the program, adds a migration, and gives what runs its command `migrate`. */
async function withNewer(
  ground: Ground,
  mayServe: 'yes' | 'no',
  statement: string,
  work: (migrate: () => Program) => Promise<void>,
): Promise<void> {
  const { builtFolder, cluster } = ground.lab;
  const folder = await mkdtemp(join(tmpdir(), 'metrology-newer-'));
  try {
    for (const name of ['dist', 'package.json', 'migrations'])
      await cp(join(builtFolder, name), join(folder, name), { recursive: true });
    await symlink(new URL('../../../node_modules', import.meta.url), join(folder, 'node_modules'));
    const why = `-- A migration of a version to come, for the tests.\n-- The release before may serve beside this: ${mayServe}.`;
    await writeFile(join(folder, 'migrations/9999_later.sql'), `${why}\n${statement};\n`);
    const script = commandOf(folder);
    await work(() => runProgram(folder, script, ['migrate'], { DATABASE_URL: cluster.url(ground.site.database) }));
  } finally {
    await rm(folder, { recursive: true, force: true });
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
