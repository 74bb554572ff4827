// PostgreSQL slow, stuck, unreachable, silent, out of connections, read-only, its disk full: chunks wait, reads are told, recovery
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { isRunning } from '../../built-server.ts';
import { startTcpProxy, type TcpProxy } from '../../http/tcp-proxy.ts';
import { prefixes, type Sent, sendChunk } from '../support/chunks.ts';
import { type Load, startLoad } from '../support/load.ts';
import { type Cluster, openCluster } from '../support/postgres-15.ts';
import { residentMiB } from '../support/processes.ts';
import type { Run } from '../support/run.ts';
import { openEmbeddedSite, openSite, type Site } from '../support/servers.ts';
import { canMount, openSmallDisk, type SmallDisk } from '../support/small-disk.ts';

const writers = 16;
const database = 'lab';
const recoveryMs = 10_000;
/** Longest time until a chunk is answered, be it by 503: the SDK waits 30 s. */
const answerMsMax = 30_000;
const holdMs = { tiny: 500, small: 3_000, full: 20_000 };
/** Above what the server held before, while it refuses and queues. */
const growth = { max: 150, unit: 'MiB' };

interface Trouble {
  name: string;
  /** How long it lasts. */
  holdMs: number;
  /** Longest time until a read is answered, be it by 503. */
  readMsMax: number;
  /** A chunk or a read must be refused while it lasts; otherwise there was none. */
  isOutage: boolean;
  /** From its end to the next acknowledged chunk. */
  recoveryMsMax?: number;
  begin(): Promise<void>;
  end(): Promise<void>;
}

export async function databaseTrouble(run: Run, builtFolder: string): Promise<void> {
  const disk = canMount ? await openSmallDisk(400) : undefined;
  if (disk === undefined) run.note('full disks: not tried, since only root can mount a small one');
  try {
    await troubleBeside(run, builtFolder, disk);
    disk?.clear();
    if (disk !== undefined) await troubleWithin(run, builtFolder, disk);
  } finally {
    await disk?.remove();
  }
}

/** A server and a PostgreSQL 15 that somebody else runs. */
async function troubleBeside(run: Run, builtFolder: string, disk: SmallDisk | undefined): Promise<void> {
  const cluster = await openCluster({
    settings: { max_connections: '40', max_wal_size: '64MB' },
    ...(disk !== undefined && { parent: disk.folder }),
  });
  await cluster.start();
  await cluster.query('create role app login createrole; create role hog login');
  await cluster.query(`create database ${database} owner app`);
  const url = new URL(cluster.url(database));
  url.username = 'app';
  const proxy = await startTcpProxy(url.href);
  const site = await openSite(builtFolder, { DATABASE_URL: proxy.urlOf(url.href), LOG_LEVEL: 'fatal' });
  try {
    await site.start();
    for (const trouble of troubles(run, cluster, proxy, disk)) await suffer(run, site, trouble);
    await run.audit({ databaseUrl: cluster.url(database), clients: [site.client()] });
  } finally {
    await site.stop();
    await proxy.close();
    await cluster.remove();
  }
}

/** A server whose own PostgreSQL has no room left: it is started again by the server, if need be. */
async function troubleWithin(run: Run, builtFolder: string, disk: SmallDisk): Promise<void> {
  const site = await openEmbeddedSite(builtFolder, { DATA_DIR: join(disk.folder, 'data'), LOG_LEVEL: 'fatal' });
  try {
    await site.start();
    const dataIds = await suffer(run, site, {
      name: 'disk of the embedded PostgreSQL full',
      holdMs: run.size(holdMs),
      readMsMax: 10_000,
      isOutage: true,
      recoveryMsMax: 65_000,
      begin: async () => disk.fill(),
      end: async () => disk.clear(),
    });
    await run.audit({ databaseUrl: await site.databaseUrl(), clients: [site.client()], dataIds });
  } finally {
    await site.remove();
  }
}

/** @returns the streams that were written to meanwhile */
async function suffer(run: Run, site: Site, trouble: Trouble): Promise<string[]> {
  const { pid } = site.server().child;
  const client = site.client({ answerMsMax: 60_000 });
  const state = { longestMs: 0, refused: 0 };
  const load = await startLoad(run, {
    clients: [client],
    writers,
    streams: 2,
    mayAnswer: [503],
    onSent: (sent) => look(run, trouble, state, sent),
  });
  await load.untilStored();
  const before = residentMiB(pid as number);
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, residentMiB(pid as number));
  }, 100);
  await trouble.begin();
  const probes = await probe(run, site, load, trouble.holdMs);
  const reads = await readOnce(run, site, load, trouble);
  await trouble.end();
  run.measure(`${trouble.name}, from its end to the next acknowledged chunk`, await load.untilStored(), {
    max: trouble.recoveryMsMax ?? recoveryMs,
    unit: 'ms',
  });
  await load.stop();
  for (const sent of await Promise.all(probes)) look(run, trouble, state, sent);
  clearInterval(watch);
  run.fault(trouble.name);
  run.seen('answers 503', state.refused);
  run.measure(`${trouble.name}, longest answer`, state.longestMs, { max: answerMsMax, unit: 'ms' });
  run.measure(`${trouble.name}, memory above that before`, most - before, growth);
  if (trouble.isOutage && state.refused === 0 && reads !== 503)
    run.blame(trouble.name, `nothing was refused, and a read was answered ${reads}`);
  if (!isRunning(pid as number)) run.blame(trouble.name, 'the server has ended');
  run.history.settle();
  client.close();
  return load.dataIds;
}

/** Clients that come while it lasts, at a steady pace, whatever became of those before. */
async function probe(run: Run, site: Site, load: Load, holdMs: number): Promise<Promise<Sent>[]> {
  const client = site.client({ answerMsMax: 90_000, keepAlive: false });
  const probes: Promise<Sent>[] = [];
  const until = performance.now() + holdMs;
  const [dataId = ''] = load.dataIds;
  for (let index = 0; performance.now() < until; index++) {
    const channels = [['probe', run.newContent()]] as const;
    probes.push(sendChunk(client, run.history, `probe ${index}`, { dataId, index, channels, prefix: prefixes[0] }));
    await sleep(200);
  }
  return probes;
}

function look(run: Run, { name }: Trouble, state: { longestMs: number; refused: number }, { answer, failure }: Sent) {
  if (answer === undefined) return run.blame(name, `a request had no answer: ${failure?.message}`);
  state.longestMs = Math.max(state.longestMs, answer.ms);
  if (answer.status !== 503) return;
  state.refused++;
  if (!/^\d+$/.test(answer.headers['retry-after'] ?? '')) run.blame(name, `503 without Retry-After: ${answer.body}`);
}

/** A read meanwhile is answered too, and sooner: 200 or 503 with Retry-After. @returns its status */
async function readOnce(run: Run, site: Site, load: Load, { name, readMsMax }: Trouble): Promise<number | undefined> {
  const client = site.client({ answerMsMax: 60_000 });
  run.operation();
  const answer = await client.send('GET', `/tool-state/${load.dataIds[0]}/timeseries/`).catch((error: Error) => error);
  client.close();
  if (answer instanceof Error) {
    run.blame(name, `a read had no answer: ${answer.message}`);
    return undefined;
  }
  run.measure(`${name}, answer to a read`, answer.ms, { max: readMsMax, unit: 'ms' });
  const isRefused = answer.status === 503 && answer.headers['retry-after'] !== undefined;
  if (answer.status !== 200 && !isRefused) run.blame(name, `a read is answered ${answer.status} ${answer.body}`);
  return answer.status;
}

function troubles(run: Run, cluster: Cluster, proxy: TcpProxy, disk: SmallDisk | undefined): Trouble[] {
  const hold = run.size(holdMs);
  const admin = (statement: string) => cluster.query(statement, database);
  const hogs: pg.Client[] = [];
  let locked: pg.Client | undefined;
  const all: (Trouble | undefined)[] = [
    {
      name: 'PostgreSQL slow',
      holdMs: hold,
      readMsMax: 15_000,
      isOutage: false,
      begin: () => slowDown(admin),
      end: async () => void (await admin('drop trigger slow on chunks')),
    },
    {
      name: 'PostgreSQL unreachable',
      holdMs: hold,
      readMsMax: 3_000,
      isOutage: true,
      begin: () => proxy.close(),
      end: () => proxy.open(),
    },
    {
      name: 'PostgreSQL out of connections',
      holdMs: hold,
      readMsMax: 3_000,
      isOutage: true,
      begin: () => takeAllConnections(cluster, hogs),
      end: async () => void (await Promise.all(hogs.splice(0).map((hog) => hog.end()))),
    },
    {
      name: 'PostgreSQL read-only',
      holdMs: hold,
      readMsMax: 3_000,
      isOutage: true,
      begin: () => setReadOnly(cluster, 'on'),
      end: () => setReadOnly(cluster, 'off'),
    },
    disk && {
      name: 'disk of PostgreSQL full',
      holdMs: hold,
      readMsMax: 10_000,
      isOutage: true,
      begin: async () => disk.fill(),
      end: async () => {
        disk.clear();
        // A PostgreSQL that could not go on is started again, as whoever runs it does.
        if (!cluster.isAlive()) await cluster.start();
      },
    },
    run.scale === 'tiny'
      ? undefined
      : {
          name: 'PostgreSQL silent',
          holdMs: 40_000,
          readMsMax: 30_000,
          isOutage: true,
          begin: async () => proxy.silence(),
          end: async () => {
            await proxy.close();
            await proxy.open();
          },
        },
    run.scale !== 'full'
      ? undefined
      : {
          name: 'PostgreSQL stuck behind a lock',
          holdMs: 55_000,
          readMsMax: 30_000,
          isOutage: true,
          begin: async () => {
            locked = new pg.Client({ connectionString: cluster.url(database) });
            await locked.connect();
            await locked.query('begin; lock table chunks in access exclusive mode');
          },
          end: async () => locked?.end(),
        },
  ];
  return all.filter((trouble) => trouble !== undefined);
}

/** Every statement that inserts chunks takes half a second more. */
async function slowDown(admin: (statement: string) => Promise<unknown>): Promise<void> {
  await admin(`create or replace function slow() returns trigger language plpgsql as
    $$ begin perform pg_sleep(0.5); return null; end $$`);
  await admin('create trigger slow after insert on chunks for each statement execute function slow()');
}

/** Opens connections until there is no room, and ends those of the server so that it has to ask for new ones. */
async function takeAllConnections(cluster: Cluster, hogs: pg.Client[]): Promise<void> {
  const url = new URL(cluster.url(database));
  url.username = 'hog';
  const take = async () => {
    const hog = new pg.Client({ connectionString: url.href });
    hog.on('error', () => {});
    await hog.connect();
    hogs.push(hog);
  };
  for (let round = 0; round < 100; round++) {
    while ((await take().catch((error: { code?: string }) => error.code)) === undefined);
    const ended = await cluster.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'`,
      database,
    );
    if (ended.length === 0) return;
  }
  throw new Error('the server keeps getting connections');
}

async function setReadOnly(cluster: Cluster, value: string): Promise<void> {
  await cluster.query(`alter system set default_transaction_read_only = ${value}`);
  await cluster.query('select pg_reload_conf()');
}
