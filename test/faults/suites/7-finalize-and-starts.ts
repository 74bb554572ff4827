// finalize racing chunks and itself; migrations killed half-way; servers starting at once on one database or DATA_DIR
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run as runProgram } from '../../support/built-server.ts';
import { type ChunkRequest, openStream, prefixes, sendChunk } from '../support/chunks.ts';
import type { Client } from '../support/client.ts';
import { type Cluster, openCluster } from '../support/postgres-15.ts';
import type { Run } from '../support/run.ts';
import { openSite } from '../support/servers.ts';

export async function finalizeAndStarts(run: Run, builtFolder: string): Promise<void> {
  const cluster = await openCluster();
  await cluster.start();
  try {
    await raceFinalize(run, builtFolder, cluster);
    await killMigrations(run, builtFolder, cluster);
    await startTogether(run, builtFolder, cluster);
    await shareDataDir(run, builtFolder);
  } finally {
    await cluster.remove();
  }
}

/** Two servers, no grace: what is answered after finalize is known for certain. */
async function raceFinalize(run: Run, builtFolder: string, cluster: Cluster): Promise<void> {
  const settings = { DATABASE_URL: cluster.url(), FINALIZE_GRACE_SECONDS: '0' };
  const sites = await Promise.all([1, 2].map(() => openSite(builtFolder, settings)));
  try {
    for (const site of sites) await site.start();
    const clients = sites.map((site) => site.client());
    const rounds = run.size({ tiny: 5, small: 100, full: 5_000 });
    for (let round = 0; round < rounds; round++) await raceFinalizeOnce(run, clients);
    await run.audit({ databaseUrl: cluster.url(), clients });
  } finally {
    for (const site of sites) await site.stop();
  }
}

async function raceFinalizeOnce(run: Run, clients: readonly Client[]): Promise<void> {
  const { random, history } = run;
  const dataId = await openStream(clients[0] as Client, random.pick(prefixes), 10);
  const request = (index: number): ChunkRequest => ({
    dataId,
    index,
    channels: [['p', run.newContent()] as const, ...(random.chance(0.5) ? [['t', run.newContent()] as const] : [])],
    prefix: random.pick(prefixes),
  });
  const first = request(0);
  await sendChunk(clients[0] as Client, history, 'before', first);
  const racing = Array.from({ length: 10 }, (_, i) => request(i + 1));
  const finalize = async (client: Client) => {
    await sleep(random.integer(0, 4));
    run.operation();
    const { status, body } = await client.send('POST', `${random.pick(prefixes)}/${dataId}/finalize`);
    return `${status} ${body}`;
  };
  const sending = Promise.all(
    racing.map(async (one, i) => {
      await sleep(random.integer(0, 6));
      return sendChunk(clients[i % 2] as Client, history, `racing ${i}`, one);
    }),
  );
  const answers = await Promise.all(clients.map(finalize));
  run.fault('finalize races');
  if (new Set(answers).size !== 1 || !answers[0]?.startsWith('200 ')) {
    run.blame(dataId, `two finalizes at once are answered ${answers.join(' and ')}`);
  }
  const after = await sendChunk(clients[1] as Client, history, 'after', request(100));
  if (after.answer?.status !== 409)
    run.blame(dataId, `a new chunk after the grace is answered ${after.answer?.status}`);
  const again = await sendChunk(clients[1] as Client, history, 'after', first);
  if (again.answer?.status !== 201) run.blame(dataId, `a replay after the grace is answered ${again.answer?.status}`);
  for (const { answer, failure } of await sending) {
    if (answer?.status === 201 || answer?.status === 409) continue;
    run.blame(dataId, `a racing chunk is answered ${answer?.status ?? failure?.message} ${answer?.body ?? ''}`);
  }
}

/** `migrate` is killed at any moment; the next one ends with the very same schema. */
async function killMigrations(run: Run, builtFolder: string, cluster: Cluster): Promise<void> {
  const migrate = (database: string) =>
    runProgram(builtFolder, 'commands/cli.js', ['migrate'], { DATABASE_URL: cluster.url(database) });
  const schemaOf = async (database: string) => {
    const dump = await cluster.run('pg_dump', ['--schema-only', `--dbname=${cluster.url(database)}`]);
    // Newer releases of pg_dump add a random word to protect psql.
    return dump.replace(/^\\.*$/gm, '');
  };
  await cluster.query('create database reference');
  if ((await migrate('reference').exit()).code !== 0) run.blame('migrate', 'fails on an empty database');
  const expected = await schemaOf('reference');
  const rounds = run.size({ tiny: 2, small: 6, full: 200 });
  for (let round = 0; round < rounds; round++) {
    const name = `killed_${round}`;
    await cluster.query(`create database ${name}`);
    await cluster.query(
      `create function slow() returns event_trigger language plpgsql as $$ begin perform pg_sleep(0.02); end $$;
       create event trigger slow on ddl_command_end execute function slow()`,
      name,
    );
    const victim = migrate(name);
    await untilBusy(cluster, name);
    await sleep(run.random.integer(0, 900));
    victim.child.kill('SIGKILL');
    const { signal } = await victim.exit();
    run.fault(signal === 'SIGKILL' ? 'migrations killed half-way' : 'migrations that were quicker');
    await cluster.query('drop event trigger slow; drop function slow', name);
    const second = migrate(name);
    const { code } = await second.exit(60_000);
    if (code !== 0) run.blame(name, `migrating again ends with ${code}: ${second.stderr()}`);
    if ((await schemaOf(name)) !== expected) run.blame(name, 'the schema differs from that of one run');
    await cluster.query(`drop database ${name}`);
  }
}

async function untilBusy(cluster: Cluster, name: string): Promise<void> {
  for (let i = 0; i < 1_000; i++) {
    const [row] = await cluster.query(
      `select count(*)::int as n from pg_stat_activity
       where datname = '${name}' and application_name = 'metrology-server' and xact_start is not null`,
    );
    if (row?.n !== 0) return;
    await sleep(5);
  }
}

/** Several servers start at once on an empty database: all of them serve, and one has made it. */
async function startTogether(run: Run, builtFolder: string, cluster: Cluster): Promise<void> {
  const rounds = run.size({ tiny: 1, small: 2, full: 50 });
  for (let round = 0; round < rounds; round++) {
    const name = `together_${round}`;
    await cluster.query(`create database ${name}`);
    const servers = run.random.pick([2, 2, 4]);
    const settings = { DATABASE_URL: cluster.url(name) };
    const sites = await Promise.all(Array.from({ length: servers }, () => openSite(builtFolder, settings)));
    await Promise.all(sites.map((site) => site.start()));
    run.fault('servers started at once on an empty database', servers);
    const clients = sites.map((site) => site.client());
    const dataId = await openStream(clients[0] as Client, prefixes[0], 5);
    for (const [index, client] of clients.entries()) {
      const channels = [['p', run.newContent()]] as const;
      await sendChunk(client, run.history, `server ${index}`, { dataId, index, channels, prefix: prefixes[0] });
    }
    await run.audit({ databaseUrl: cluster.url(name), clients, dataIds: [dataId] });
    const [made] = await cluster.query(
      `select (select count(*)::int from organizations) as organizations, (select count(*)::int from users) as users,
              (select count(*)::int from api_keys) as keys`,
      name,
    );
    const counted = JSON.stringify(made);
    if (counted !== '{"organizations":1,"users":1,"keys":1}') run.blame(name, `holds ${counted}`);
    for (const site of sites) await site.stop();
    await cluster.query(`drop database ${name} with (force)`);
  }
}

/** Several servers start at once on one empty DATA_DIR: one serves, the others say why they cannot. */
async function shareDataDir(run: Run, builtFolder: string): Promise<void> {
  const rounds = run.size({ tiny: 1, small: 2, full: 30 });
  for (let round = 0; round < rounds; round++) {
    const dataDir = await mkdtemp(join(tmpdir(), 'metrology-shared-'));
    const programs = [1, 2].map(() =>
      runProgram(builtFolder, 'main.js', [], { DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'error' }),
    );
    run.fault('servers started at once on one DATA_DIR', programs.length);
    const isUp = (program: (typeof programs)[number]) => program.stdout().includes('Address');
    const hasEnded = (program: (typeof programs)[number]) => program.child.exitCode !== null;
    for (let waited = 0; waited < 60_000 && !programs.every((one) => isUp(one) || hasEnded(one)); waited += 20) {
      await sleep(20);
    }
    const up = programs.filter((program) => !hasEnded(program));
    const refused = programs.filter(hasEnded);
    const sentences = refused.map((program) => program.stderr());
    if (up.length !== 1 || !sentences.every((sentence) => sentence.includes('is in use by a metrology-server'))) {
      run.blame(dataDir, `${up.length} of ${programs.length} serve; the others say: ${sentences.join('\n')}`);
    }
    for (const program of up) program.child.kill('SIGTERM');
    for (const program of up) await program.exit();
    await rm(dataDir, { recursive: true, force: true });
  }
}
