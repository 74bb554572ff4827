// pg_dump of PostgreSQL 15 under load, by an owner under policies, restored elsewhere, then `metrology-server verify` and the audit
import { closeSync, fsyncSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run as runProgram } from '../../support/built-server.ts';
import { startLoad } from '../support/load.ts';
import { type Cluster, openCluster } from '../support/postgres-15.ts';
import { residentMiB } from '../support/processes.ts';
import type { Run } from '../support/run.ts';
import { openSite } from '../support/servers.ts';

export async function backup(run: Run, builtFolder: string): Promise<void> {
  const [origin, elsewhere] = await Promise.all([openCluster(), openCluster()]);
  const [owner, login] = ['owner', 'login'].map((role) => origin.url('lab', role)) as [string, string];
  const site = await openSite(builtFolder, { DATABASE_URL: login, MIGRATION_DATABASE_URL: owner });
  const copy = await openSite(builtFolder, { DATABASE_URL: elsewhere.url('restored') });
  try {
    await Promise.all([origin.start(), elsewhere.start()]);
    await origin.query('create role owner login createrole');
    await origin.query('create database lab owner owner');
    for (const role of ['metrology_api', 'metrology_service']) await elsewhere.query(`create role ${role}`);
    await site.start();
    const rounds = run.size({ tiny: 1, small: 2, full: 20 });
    for (let round = 0; round < rounds; round++) {
      const load = await startLoad(run, { clients: [site.client()], writers: 12, streams: 3 });
      await load.untilStored();
      await sleep(run.random.integer(500, 2_000));
      const snapshot = run.history.snapshot();
      const file = join(origin.dataDir, 'backup.dump');
      await origin.run('pg_dump', ['--format=custom', '--enable-row-security', `--file=${file}`, `--dbname=${owner}`]);
      run.fault('backups under load');
      snapshot.end();
      await load.stop();
      await verifyAll(run, builtFolder, login);

      await elsewhere.query('create database restored');
      await elsewhere.run('pg_restore', [
        '--exit-on-error',
        '--no-owner',
        `--dbname=${elsewhere.url('restored')}`,
        file,
      ]);
      await verifyAll(run, builtFolder, elsewhere.url('restored'));
      await copy.start();
      const dataIds = snapshot.history.streams();
      await run.audit({ databaseUrl: elsewhere.url('restored'), clients: [copy.client()], dataIds }, snapshot.history);
      await copy.stop();
      if (round + 1 < rounds) await elsewhere.query('drop database restored');
    }
    await run.audit({ databaseUrl: origin.url('lab'), clients: [site.client()] });
    await verifyLarge(run, builtFolder, elsewhere);
    await findDamage(run, builtFolder, elsewhere);
  } finally {
    await site.stop();
    await Promise.all([origin.remove(), elsewhere.remove()]);
  }
}

/** Every chunk of the database has the hash of its content. */
async function verifyAll(run: Run, builtFolder: string, databaseUrl: string): Promise<void> {
  const { code, stdout, stderr } = await verify(builtFolder, databaseUrl);
  const [, chunks = '0', differ = ''] = /^(\d+) chunks, (\d+) differ$/m.exec(stdout) ?? [];
  run.seen('chunks verified', Number(chunks));
  if (code !== 0 || differ !== '0' || Number(chunks) === 0)
    run.blame('verify', `ended with ${code}:\n${stdout}${stderr}`);
}

/** The memory of verify does not grow with what it verifies. */
async function verifyLarge(run: Run, builtFolder: string, cluster: Cluster): Promise<void> {
  const chunks = run.size({ tiny: 5, small: 30, full: 300 });
  const megabytes = (chunks * 200_000 * 16) / 1e6;
  await cluster.query(
    `insert into chunks select (jsonb_populate_record(k, jsonb_build_object('chunk_index', 1000000 + i))).*
     from chunks k cross join generate_series(1, ${chunks}) i where k.ctid = (select ctid from chunks limit 1);
     update chunks set timestamps = array_fill(1::float8, array[200000]), "values" = array_fill(2::float8, array[200000]),
       units = null, point_count = 200000, null_count = 0
     where chunk_index > 1000000;
     update chunks set content_hash = sha256(array_send(timestamps) || array_send("values")) where chunk_index > 1000000`,
    'restored',
  );
  const program = runProgram(builtFolder, 'commands/cli.js', ['verify'], { DATABASE_URL: cluster.url('restored') });
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, residentMiB(program.child.pid as number));
  }, 20);
  await program.exit(600_000);
  clearInterval(watch);
  // The counters of that channel are now wrong, and nothing else is.
  if (!/^\d+ chunks, 0 differ$/m.test(program.stdout())) run.blame('verify of large chunks', program.stdout());
  run.measure(`verify of ${megabytes} MB in large chunks, its memory`, most, { max: 200, unit: 'MiB' });
}

/** Zeros on the disk in the place of a large array are found, and the chunk is named. */
async function findDamage(run: Run, builtFolder: string, cluster: Cluster): Promise<void> {
  await cluster.query(
    `insert into chunks select (jsonb_populate_record(k, '{"chunk_index": 424242}')).* from chunks k limit 1`,
    'restored',
  );
  await cluster.query(
    `update chunks set timestamps = array_fill(1::float8, array[1000]), "values" = timestamps where chunk_index = 424242`,
    'restored',
  );
  const [place] = await cluster.query(
    `select pg_relation_filepath(reltoastrelid) as path from pg_class where relname = 'chunks'`,
    'restored',
  );
  await cluster.stop();
  wipe(join(cluster.dataDir, String(place?.path)));
  await cluster.start();
  run.fault('damaged files');
  const { code, stdout, stderr } = await verify(builtFolder, cluster.url('restored'));
  if (code !== 1 || !/chunk 424242: it cannot be read: /.test(stdout)) {
    run.blame('verify of a damaged file', `ended with ${code}:\n${stdout}${stderr}`);
  }
}

async function verify(builtFolder: string, databaseUrl: string) {
  const program = runProgram(builtFolder, 'commands/cli.js', ['verify'], { DATABASE_URL: databaseUrl });
  const { code } = await program.exit(600_000);
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}

function wipe(path: string): void {
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.alloc(statSync(path).size), 0);
  fsyncSync(file);
  closeSync(file);
}
