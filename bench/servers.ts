/**
 * Several servers on one PostgreSQL, and reads from its replica beside ingest.
 *
 *   npm run bench -- --servers
 *
 * Needs Debian's PostgreSQL 15 and HAProxy. Generator, servers and PostgreSQL share the processors of this machine, so
 * more servers cannot store more here: what counts is the processor time that a chunk costs.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepareDatabase } from '../src/process/open-database.ts';
import { type Cluster, openCluster } from '../test/faults/support/postgres-15.ts';
import { runClosedLoop } from './support/node-load.ts';
import { cpuSeconds, freePort, nodeFlags, type Running, startProcess, untilReady } from './support/processes.ts';

const seconds = Number(process.env.SERVERS_SECONDS ?? 5);
const rounds = Number(process.env.SERVERS_ROUNDS ?? 3);
const warmSeconds = 2;
const [writers, readers, pointsOfChunk, chunksOfRun] = [48, 6, 100, 500];
/** What a round of reads beside ingest has to do. */
const [chunksOfRound, readsOfRound] = [2_000, 300];
const built = fileURLToPath(new URL('../', import.meta.url));
const key = `bench-${randomBytes(16).toString('hex')}`;
const headers = { 'X-API-KEY': key };
const folder = mkdtempSync(join(tmpdir(), 'metrology-servers-'));
const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];

interface Server {
  running: Running;
  port: number;
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] as number;
const sum = (seconds: Record<string, number>) => Object.values(seconds).reduce((all, one) => all + one, 0);
const postmasterOf = ({ dataDir }: Cluster) =>
  Number(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0]);

async function openDatabases() {
  const primary = await openCluster();
  ends.push(() => primary.remove());
  await primary.start();
  await primary.query('create database lab');
  const addresses = { connectionString: primary.url('lab'), ownerUrl: primary.url('lab'), place: '', ownsLogin: false };
  const limits = { databaseWaitMsMax: 30_000, databasePauseMs: 100, waitLogMs: 1_000 };
  await prepareDatabase(addresses, console as never, { limits, mustBeDurable: true, readsReplica: true });
  const standby = await openCluster({ standbyOf: primary, settings: { hot_standby_feedback: 'on' } });
  ends.push(() => standby.remove());
  await standby.start();
  return { primary, standby };
}

async function startServer(settings: Record<string, string>): Promise<Server> {
  const port = await freePort();
  const running = startProcess(process.execPath, [...nodeFlags, join(built, 'src/main.js')], {
    ...{
      PORT: String(port),
      BOOTSTRAP_API_KEY: key,
      LOG_LEVEL: 'error',
      DATABASE_POOL_MAX: '10',
      EXPORT_CACHE_BYTES: '0',
    },
    ...settings,
  });
  ends.push(() => running.stop());
  await untilReady(running, `http://127.0.0.1:${port}/readyz`);
  return { running, port };
}

/** HAProxy before some servers, each request to the next one. */
async function balance(servers: readonly Server[]): Promise<{ url: string; running: Running }> {
  const port = await freePort();
  const file = join(folder, `haproxy-${port}.cfg`);
  const backends = servers.map(({ port: one }, i) => `  server s${i} 127.0.0.1:${one}`);
  writeFileSync(
    file,
    `defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\nfrontend all
  bind 127.0.0.1:${port}\n  default_backend servers\nbackend servers\n  balance roundrobin\n  http-reuse always\n${backends.join('\n')}\n`,
  );
  const running = startProcess('/usr/sbin/haproxy', ['-f', file], {});
  ends.push(() => running.stop());
  const url = `http://127.0.0.1:${port}`;
  await untilReady(running, `${url}/healthz`);
  return { url, running };
}

async function openStream(url: string): Promise<string> {
  const answer = await fetch(`${url}/tool-state/stream/initialize`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ points_per_chunk: pointsOfChunk }),
  });
  return ((await answer.json()) as { data_id: string }).data_id;
}

/** New chunks of sixteen new streams, 100 points each, with the digits that instruments send. */
async function chunksFor(url: string): Promise<(n: number) => string> {
  const ids = await Promise.all(Array.from({ length: 16 }, () => openStream(url)));
  const values = Array.from({ length: 64 }, () =>
    Array.from({ length: pointsOfChunk }, () => (Math.random() * 600).toFixed(3)).join(','),
  );
  return (n) => {
    const index = Math.floor(n / ids.length);
    const times = Array.from({ length: pointsOfChunk }, (_, i) =>
      (1_704_067_200 + index * 100 + i + (n % 7) / 1e3).toFixed(3),
    );
    return `{"data_id":"${ids[n % ids.length]}","chunk_index":${index},"channel_name":"t","timestamps":[${times}],"values":[${values[n % 64]}]}`;
  };
}

async function ingest(url: string, length: { warmSeconds: number; seconds: number } = { warmSeconds, seconds }) {
  const body = await chunksFor(url);
  const path = '/tool-state/stream/chunk';
  const load = { url, path, headers, expectedStatus: 201, connections: writers, body };
  return runClosedLoop(load, { ...length, requestsMax: Number.POSITIVE_INFINITY });
}

interface Cost {
  perSecond: number;
  server: number;
  postgres: number;
  haproxy: number;
}

async function costOf(count: number, servers: readonly Server[], primary: Cluster): Promise<Cost> {
  const { url, running } = await balance(servers.slice(0, count));
  const pids = {
    server: servers.map((one) => one.running.pid),
    postgres: [postmasterOf(primary)],
    haproxy: [running.pid],
  };
  const used = () =>
    Object.fromEntries(
      Object.entries(pids).map(([name, all]) => [name, all.reduce((s, pid) => s + sum(cpuSeconds(pid)), 0)]),
    );
  const before = used();
  const { sent, counted, countedSeconds } = await ingest(url);
  const after = used();
  const micros = (name: string) => (((after[name] ?? 0) - (before[name] ?? 0)) * 1e6) / sent;
  await running.stop();
  const [server, postgres, haproxy] = ['server', 'postgres', 'haproxy'].map(micros) as [number, number, number];
  return { perSecond: counted / countedSeconds, server, postgres, haproxy };
}

/** Reads of a stored run in a closed loop, so many. @returns the milliseconds of each */
async function readOn(url: string, dataId: string): Promise<number[]> {
  const took: number[] = [];
  const paths = [`/tool-state/${dataId}/timeseries/?max_points=1000`, `/tool-state/${dataId}/points/?channel=t`];
  let turn = 0;
  const one = async () => {
    while (turn < readsOfRound) {
      const startedAt = performance.now();
      const answer = await fetch(`${url}${paths[turn++ % paths.length]}`, { headers });
      await answer.arrayBuffer();
      if (answer.status !== 200) throw new Error(`a read was answered ${answer.status}`);
      took.push(performance.now() - startedAt);
    }
  };
  await Promise.all(Array.from({ length: readers }, one));
  return took;
}

interface Beside {
  medianMs: number;
  chunksPerSecond: number;
  primary: number;
  replica: number;
  servers: number;
}

/** The same chunks and the same reads at once. @returns what they cost: milliseconds of processor in all */
async function readsBeside(
  { url, servers }: { url: string; servers: readonly Server[] },
  dataId: string,
  { primary, standby }: Record<'primary' | 'standby', Cluster>,
): Promise<Beside> {
  const pids = [postmasterOf(primary), postmasterOf(standby)];
  const used = () => [
    ...pids.map((pid) => sum(cpuSeconds(pid))),
    servers.reduce((s, one) => s + sum(cpuSeconds(one.running.pid)), 0),
  ];
  const before = used();
  const body = await chunksFor(url);
  const load = { url, path: '/tool-state/stream/chunk', headers, expectedStatus: 201, connections: writers, body };
  const ingesting = runClosedLoop(load, { warmSeconds: 0, seconds: 600, requestsMax: chunksOfRound });
  const [{ counted, countedSeconds }, took] = await Promise.all([ingesting, readOn(url, dataId)]);
  const [ofPrimary = 0, ofReplica = 0, ofServers = 0] = used().map((now, i) => (now - (before[i] ?? 0)) * 1_000);
  const cost = { primary: ofPrimary, replica: ofReplica, servers: ofServers };
  return { ...cost, medianMs: median(took), chunksPerSecond: counted / countedSeconds };
}

/** Where the reads of these servers went, in percent. */
async function shareOfReplica(servers: readonly Server[]): Promise<number> {
  const counts = { replica: 0, all: 0 };
  for (const { port } of servers) {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`, { headers })).text();
    for (const [, outcome, count] of text.matchAll(/^metrology_replica_reads_total\{outcome="(\w+)"\} (\d+)/gm)) {
      counts.all += Number(count);
      if (outcome === 'replica') counts.replica += Number(count);
    }
  }
  return (100 * counts.replica) / Math.max(1, counts.all);
}

async function storeRun(url: string): Promise<string> {
  const dataId = await openStream(url);
  const values = Array.from({ length: pointsOfChunk }, (_, i) => i / 8);
  for (let from = 0; from < chunksOfRun; from += 10) {
    const storing = Array.from({ length: 10 }, (_, i) => {
      const timestamps = values.map((_, k) => 1_704_067_200 + (from + i) * pointsOfChunk + k);
      const chunk = { data_id: dataId, chunk_index: from + i, channel_name: 't', timestamps, values };
      const body = JSON.stringify(chunk);
      return fetch(`${url}/tool-state/stream/chunk`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body,
      });
    });
    for (const answer of await Promise.all(storing)) if (answer.status !== 201) throw new Error(await answer.text());
  }
  return dataId;
}

async function main(): Promise<void> {
  const databases = await openDatabases();
  const plain: Server[] = [];
  for (let i = 0; i < 4; i++) plain.push(await startServer({ DATABASE_URL: databases.primary.url('lab') }));
  if (process.env.SERVERS_ONLY !== 'reads') await measureIngest(plain, databases.primary);
  for (const server of plain.splice(2)) await server.running.stop();
  await measureReads(plain, databases);
}

async function measureIngest(plain: readonly Server[], primary: Cluster): Promise<void> {
  const costs = new Map([1, 2, 4].map((count): [number, Cost[]] => [count, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const [count, found] of costs) {
      const cost = await costOf(count, plain, primary);
      console.error(`${count} servers: ${JSON.stringify(cost)}`);
      // Before the first round that counts, each server compiles its code.
      if (round > 0) found.push(cost);
    }
  }
  console.log(
    '\n| servers | chunks/s | µs of processor per chunk: servers | PostgreSQL | HAProxy |\n|---|---|---|---|---|',
  );
  for (const [count, found] of costs) {
    const of = (name: keyof Cost) => Math.round(median(found.map((cost) => cost[name])));
    console.log(`| ${count} | ${of('perSecond')} | ${of('server')} | ${of('postgres')} | ${of('haproxy')} |`);
  }
}

async function measureReads(
  plain: readonly Server[],
  { primary, standby }: Record<'primary' | 'standby', Cluster>,
): Promise<void> {
  const settings = { DATABASE_URL: primary.url('lab'), READ_DATABASE_URL: standby.url('lab') };
  const reading: Server[] = [];
  for (let i = 0; i < 2; i++) reading.push(await startServer(settings));
  const sides = {
    primary: { url: (await balance(plain)).url, servers: plain },
    replica: { url: (await balance(reading)).url, servers: reading },
  };
  const dataId = await storeRun(sides.primary.url);
  const measured: Record<string, Beside[]> = { primary: [], replica: [] };
  for (let round = 0; round <= rounds; round++) {
    for (const [side, what] of Object.entries(sides)) {
      const found = await readsBeside(what, dataId, { primary, standby });
      console.error(`reads from the ${side}: ${JSON.stringify(found)}`);
      if (round > 0) measured[side]?.push(found);
    }
  }
  console.log(`\n${chunksOfRound} chunks and ${readsOfRound} reads at once: ms of processor\n`);
  console.log('| reads from | primary | replica | servers | median of a read | chunks/s |\n|---|---|---|---|---|---|');
  for (const [side, found] of Object.entries(measured)) {
    const of = (name: keyof Beside) => median(found.map((one) => one[name])).toFixed(0);
    const row = [side, of('primary'), of('replica'), of('servers'), `${of('medianMs')} ms`, of('chunksPerSecond')];
    console.log(`| ${row.join(' | ')} |`);
  }
  console.log(
    `\n${(await shareOfReplica(reading)).toFixed(1)} % of the reads of the replica's side were answered from it.`,
  );
}

try {
  await main();
} finally {
  for (const end of ends.splice(0).reverse()) await end();
}
