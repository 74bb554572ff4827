// PostgreSQL slow, stuck, unreachable, silent, out of connections, read-only, its disk full: chunks wait, reads are told, recovery
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTcpProxy } from '../../http/support/tcp-proxy.ts';
import { isRunning } from '../../support/built-server.ts';
import { type Generation, type SentAsSdk, sendAsSdk, triesOnce, triesThrice } from '../support/as-sdk.ts';
import { prefixes, type Sent } from '../support/chunks.ts';
import { type Load, startLoad } from '../support/load.ts';
import { openCluster } from '../support/postgres-15.ts';
import { residentMiB } from '../support/processes.ts';
import type { Run } from '../support/run.ts';
import { openEmbeddedSite, openSite, type Site } from '../support/servers.ts';
import { canMount, openSmallDisk, type SmallDisk } from '../support/small-disk.ts';
import { database, holdMs, type Trouble, troubles } from '../support/troubles.ts';

const writers = 16;
const recoveryMs = 10_000;
/** Longest time until a chunk is answered, be it by 503: the SDK waits 30 s. */
const answerMsMax = 30_000;
/** What a server that waits 28 s owes: nothing is lost in a shorter trouble by clients that try three times, or once. */
const thriceMsMax = 60_000;
const onceMsMax = 25_000;
/** Above what the server held before, while it refuses and queues. */
const growth = { max: 150, unit: 'MiB' };

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

/** A server whose own PostgreSQL has no room left: it has some in reserve, and is started again by the server if need be. */
async function troubleWithin(run: Run, builtFolder: string, disk: SmallDisk): Promise<void> {
  const site = await openEmbeddedSite(builtFolder, {
    DATA_DIR: join(disk.folder, 'data'),
    DISK_REFUSE_BYTES: '0',
    LOG_LEVEL: 'fatal',
  });
  try {
    await site.start();
    const dataIds = await suffer(run, site, {
      name: 'disk of the embedded PostgreSQL full',
      holdMs: run.size(holdMs),
      readMsMax: 10_000,
      isOutage: true,
      readsGoOn: true,
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
  const startedAt = performance.now();
  const before = residentMiB(pid as number);
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, residentMiB(pid as number));
  }, 100);
  await trouble.begin();
  const probes = await probe(run, site, load, trouble, state);
  const reads = await readOnce(run, site, load, trouble);
  if (trouble.readsGoOn && reads !== 200) run.blame(trouble.name, `a read was answered ${reads}`);
  await trouble.end();
  run.measure(`${trouble.name}, from its end to the next acknowledged chunk`, await load.untilStored(), {
    max: recoveryMs,
    unit: 'ms',
  });
  const lastedMs = performance.now() - startedAt;
  await load.stop();
  blameLost(run, trouble, lastedMs, await Promise.all(probes));
  clearInterval(watch);
  run.fault(trouble.name);
  run.seen('answers 503', state.refused);
  run.measure(`${trouble.name}, longest answer`, state.longestMs, { max: answerMsMax, unit: 'ms' });
  run.measure(`${trouble.name}, memory above that before`, most - before, growth);
  if (trouble.isOutage && state.longestMs < trouble.holdMs / 2 && reads !== 503)
    run.blame(trouble.name, `no chunk waited, and a read was answered ${reads}`);
  if (!isRunning(pid as number)) run.blame(trouble.name, 'the server has ended');
  run.history.settle();
  client.close();
  return load.dataIds;
}

/** Clients that come while it lasts, at a steady pace, whatever became of those before: in turns of both generations. */
async function probe(run: Run, site: Site, load: Load, trouble: Trouble, state: State): Promise<Promise<Probed>[]> {
  const client = site.client({ answerMsMax: 90_000, keepAlive: false });
  const probes: Promise<Probed>[] = [];
  const until = performance.now() + trouble.holdMs;
  const [dataId = ''] = load.dataIds;
  for (let index = 0; performance.now() < until; index++) {
    const channels = [['probe', run.newContent()]] as const;
    const request = { dataId, index, channels, prefix: prefixes[0] };
    const generation = index % 2 === 0 ? triesThrice : triesOnce;
    const sent = sendAsSdk(client, run.history, `probe ${index}`, request, generation, (one) =>
      look(run, trouble, state, one),
    );
    probes.push(sent.then((one) => ({ ...one, generation })));
    await sleep(200);
  }
  return probes;
}

type Probed = SentAsSdk & { generation: Generation };

/** What clients that came meanwhile have lost, of each generation. */
function blameLost(run: Run, { name }: Trouble, lastedMs: number, probes: readonly Probed[]): void {
  for (const [generation, msMax] of [
    [triesThrice, thriceMsMax],
    [triesOnce, onceMsMax],
  ] as const) {
    const own = probes.filter((one) => one.generation === generation);
    const lost = own.filter(({ isGivenUp }) => isGivenUp);
    const figure = `${name}, given up of those that came meanwhile, with ${generation.name}`;
    run.measure(figure, lost.length, { max: lastedMs < msMax ? 0 : own.length, unit: 'chunks' });
    if (lastedMs >= msMax) continue;
    for (const { answer, failure } of lost.slice(0, 3)) {
      run.note(`${figure}: ${answer?.status ?? failure?.message} ${answer?.body ?? ''}`);
    }
  }
}

interface State {
  longestMs: number;
  refused: number;
}

function look(run: Run, { name }: Trouble, state: State, { answer, failure }: Sent) {
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
