/**
 * What a chunk costs PostgreSQL on a Citus cluster, against one PostgreSQL.
 *
 *   CITUS_URL=postgres://postgres@127.0.0.1:5432/lab npm run bench -- --cluster
 *
 * All nodes are on this machine, and this program may read /proc of their processes. CITUS_URL is the administrator's
 * address of the coordinator, DATABASE_URL that of the one PostgreSQL. Without it a PostgreSQL 15 of Debian is started, with
 * the settings of the coordinator. Generator, servers and nodes share the processors: what counts is the processor
 * time that a chunk costs, not chunks a second.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { openCluster } from '../test/faults/support/postgres-15.ts';
import { workersOf } from '../test/support/global-setup.ts';
import { type Bed, bytesOf, connectionsOf, headers, openBed, secondsOf, transactionsOf } from './cluster/bed.ts';
import { runClosedLoop } from './support/node-load.ts';

const numbers = (text: string) => text.split(',').map(Number);
const seconds = Number(process.env.CLUSTER_SECONDS ?? 10);
const rounds = Number(process.env.CLUSTER_ROUNDS ?? 3);
/** With 1,000, chunks wait for each flush. With 20, a flush has about one chunk of each stream, which costs a cluster most. */
const loads = numbers(process.env.CLUSTER_CONNECTIONS ?? '1000,20');
const sizes = numbers(process.env.CLUSTER_POINTS ?? '100,1000');
const warmSeconds = 2;
const [streams, channels] = [20, 10];
const ends: (() => unknown)[] = [];

interface Round {
  chunks: number;
  perSecond: number;
  /** Microseconds of processor for each chunk: of each node, of all nodes, and of the server. */
  micros: Record<string, number>;
  /** Transactions for each hundred chunks, by node. */
  transactions: Record<string, number>;
  /** By node. */
  connections: Record<string, number>;
}

/** The settings that change what a chunk costs, as the coordinator has them. */
async function settingsOf(url: string): Promise<Record<string, string>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const names = ['shared_buffers', 'wal_level', 'max_connections', 'max_prepared_transactions', 'max_wal_size'];
  const { rows } = await client.query(
    'select name, current_setting(name) as setting from pg_settings where name = any($1)',
    [names],
  );
  await client.end();
  return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
}

/** The administrators' addresses of both sides, each with that of the coordinator first. */
async function findSides(): Promise<Map<string, string[]>> {
  const coordinatorUrl = process.env.CITUS_URL;
  if (!coordinatorUrl) throw new Error('CITUS_URL must name a database on a coordinator that knows its workers.');
  const workerUrls = await workersOf(coordinatorUrl);
  let singleUrl = process.env.DATABASE_URL;
  if (!singleUrl) {
    const single = await openCluster({ settings: await settingsOf(coordinatorUrl) });
    ends.push(() => single.remove());
    await single.start();
    singleUrl = single.url();
  }
  return new Map([
    ['one PostgreSQL', [singleUrl]],
    ['cluster', [coordinatorUrl, ...workerUrls]],
  ]);
}

async function openStream(url: string, points: number): Promise<string> {
  const answer = await fetch(`${url}/tool-state/stream/initialize`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ points_per_chunk: points }),
  });
  return ((await answer.json()) as { data_id: string }).data_id;
}

/** The next chunks of new streams, each channel in turn, at 10 Hz and with the digits that instruments send. */
async function chunksFor(url: string, points: number): Promise<() => string> {
  const ids = await Promise.all(Array.from({ length: streams }, () => openStream(url, points)));
  const values = Array.from({ length: 64 }, () =>
    Array.from({ length: points }, () => (Math.random() * 600).toFixed(3)).join(','),
  );
  let sent = 0;
  return () => {
    const n = sent++;
    const index = Math.floor(n / (streams * channels));
    const channel = Math.floor(n / streams) % channels;
    const first = 17_040_672_000 + index * points;
    const times = Array.from({ length: points }, (_, i) => (first + i) / 10);
    return `{"data_id":"${ids[n % streams]}","chunk_index":${index},"channel_name":"c${channel}","timestamps":[${times}],"values":[${values[n % 64]}]}`;
  };
}

/** Looks once a second, so that the looks cost next to nothing. @returns a function that ends this and gives the peaks */
function watchConnections({ nodes }: Bed): () => Promise<Record<string, number>> {
  const peaks: Record<string, number> = {};
  const stopped = new AbortController();
  const look = async () => {
    while (!stopped.signal.aborted) {
      for (const node of nodes) peaks[node.name] = Math.max(peaks[node.name] ?? 0, await connectionsOf(node));
      await sleep(1_000, undefined, { signal: stopped.signal }).catch(() => {});
    }
  };
  const looking = look();
  return async () => {
    stopped.abort();
    await looking;
    return peaks;
  };
}

async function countersOf({ nodes, server }: Bed) {
  const transactions = new Map<string, number>();
  for (const node of nodes) transactions.set(node.name, await transactionsOf(node));
  const processor = new Map(nodes.map(({ name, pid }) => [name, secondsOf(pid)]));
  return { transactions, processor: processor.set('server', secondsOf(server.pid)) };
}

async function measure(bed: Bed, { points, connections }: { points: number; connections: number }): Promise<Round> {
  const body = await chunksFor(bed.url, points);
  const load = { url: bed.url, path: '/tool-state/stream/chunk', headers, expectedStatus: 201, connections, body };
  const requestsMax = Number.POSITIVE_INFINITY;
  // The channels are made here, and so they are not counted.
  await runClosedLoop(load, { warmSeconds: 0, seconds: warmSeconds, requestsMax });
  const before = await countersOf(bed);
  const endWatch = watchConnections(bed);
  const { sent, countedSeconds } = await runClosedLoop(load, { warmSeconds: 0, seconds, requestsMax });
  const peaks = await endWatch();
  const after = await countersOf(bed);
  const perChunk = (name: 'transactions' | 'processor', factor: number) =>
    Object.fromEntries(
      [...after[name]].map(([of, now]) => [of, ((now - (before[name].get(of) ?? 0)) * factor) / sent]),
    );
  const micros = perChunk('processor', 1e6);
  micros.nodes = bed.nodes.reduce((all, { name }) => all + (micros[name] ?? 0), 0);
  const transactions = perChunk('transactions', 100);
  return { chunks: sent, perSecond: sent / countedSeconds, micros, transactions, connections: peaks };
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] as number;

/** The median and, in brackets, the least and the most. */
function spreadOf(values: number[], digits = 0): string {
  const [least, most] = [Math.min(...values), Math.max(...values)].map((one) => one.toFixed(digits));
  return `${median(values).toFixed(digits)} (${least}–${most})`;
}

function printCosts(points: number, connections: number, found: ReadonlyMap<Bed, Round[]>): void {
  const [single = []] = found.values();
  const times = (all: Round[], name: string) =>
    spreadOf(
      all.map(({ micros }, i) => {
        const base = single[i]?.micros[name === 'server' ? name : 'nodes'];
        return (micros[name] ?? 0) / (base ?? Number.NaN);
      }),
      2,
    );
  console.log(`\n${points} points a chunk, ${connections} connections\n`);
  console.log('| | µs of processor per chunk | × one PostgreSQL | transactions per 100 chunks | connections |');
  console.log('|---|---|---|---|---|');
  for (const [bed, all] of found) {
    const names = bed.nodes.map(({ name }) => name);
    for (const name of [...names, ...(names.length > 1 ? ['nodes'] : []), 'server']) {
      const cells = [
        name === 'nodes' ? 'nodes together' : name === 'server' ? `the server, on ${bed.name}` : name,
        spreadOf(all.map(({ micros }) => micros[name] ?? 0)),
        times(all, name),
        names.includes(name) ? median(all.map((one) => one.transactions[name] ?? 0)).toFixed(1) : '',
        names.includes(name) ? Math.max(...all.map((one) => one.connections[name] ?? 0)) : '',
      ];
      console.log(`| ${cells.join(' | ')} |`);
    }
  }
}

async function printBytes(points: number, beds: readonly Bed[], stored: ReadonlyMap<Bed, number>): Promise<void> {
  console.log(`\n${points} points a chunk: bytes on disk\n\n| | points | bytes per point |\n|---|---|---|`);
  for (const bed of beds) {
    const count = stored.get(bed) ?? 0;
    const sizes = await Promise.all(bed.nodes.map(bytesOf));
    for (const [i, node] of bed.nodes.entries())
      console.log(`| ${node.name} | ${i === 0 ? count : ''} | ${((sizes[i] ?? 0) / count).toFixed(2)} |`);
    if (sizes.length > 1)
      console.log(`| nodes together | | ${(sizes.reduce((all, one) => all + one, 0) / count).toFixed(2)} |`);
  }
}

/** Of all rounds, with those that warmed up. */
async function storedPoints({ nodes: [first] }: Bed): Promise<number> {
  const answer = await first?.client.query('select sum(point_count)::float8 as count from channels');
  return answer?.rows[0].count;
}

async function measureSize(points: number, sides: ReadonlyMap<string, string[]>): Promise<void> {
  const beds: Bed[] = [];
  try {
    for (const [name, urls] of sides) beds.push(await openBed(name, urls));
    const found = new Map(loads.map((load) => [load, new Map(beds.map((bed): [Bed, Round[]] => [bed, []]))]));
    for (let round = 0; round <= rounds; round++) {
      for (const [connections, ofBeds] of found) {
        for (const [bed, all] of ofBeds) {
          const result = await measure(bed, { points, connections });
          console.error(`${bed.name}, ${points} points, ${connections} connections: ${JSON.stringify(result)}`);
          // Before the first round that counts, the server compiles its code.
          if (round > 0) all.push(result);
        }
      }
    }
    for (const [connections, ofBeds] of found) printCosts(points, connections, ofBeds);
    const stored = new Map<Bed, number>();
    for (const bed of beds) stored.set(bed, await storedPoints(bed));
    await printBytes(points, beds, stored);
  } finally {
    for (const bed of beds.reverse()) await bed.close();
  }
}

try {
  const sides = await findSides();
  for (const points of sizes) await measureSize(points, sides);
} finally {
  for (const end of ends.splice(0).reverse()) await end();
}
