/**
 * What WORKERS costs and what it gains: servers with 1, 2 and 4 processes that serve, in turns, each with a database
 * of its own on one PostgreSQL 15 (Debian's). For each: chunks as fast as 128 connections send them, eight quiet clients beside them, memory, connections, and
 * how long /healthz waits on new connections while one client reads 300,000 points.
 *
 *   npm run bench -- --workers                                # five minutes
 *   npm run bench -- --workers --rounds 1 --seconds 2
 *
 * Generator, server and PostgreSQL share the processors of this machine. Where all are busy with one process already, more
 * processes store nothing more: then the processor time of a chunk counts.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openCluster } from '../test/faults/support/postgres-15.ts';
import { download } from './support/download.ts';
import { type Load, measure } from './support/load.ts';
import { type OpenLoopResult, runOpenLoop } from './support/node-load.ts';
import { startNodeTarget } from './support/node-targets.ts';
import { readArguments } from './support/options.ts';
import { bodyOf, makeVariants, writeVariants } from './support/payload.ts';
import { cpuSeconds, isInstalled, nodePrograms, sharedOutBytes } from './support/processes.ts';
import { median } from './support/rounds.ts';
import type { Route, Sql, Target } from './support/target.ts';

const { options } = readArguments(process.argv.slice(3), isInstalled('wrk'));
const counts = [1, 2, 4];
const [points, pointsOfRun, healthEveryMs] = [100, 300_000, 10];
/** Of one round: a fixed number, since the work that goes on beside chunks would count for more where fewer are stored in the same time. */
const chunksOfRound = 8_000;
const quiet = { clients: 8, perSecond: 20 };
const folder = mkdtempSync(join(tmpdir(), 'metrology-bench-workers-'));
const ends: (() => Promise<unknown>)[] = [];

/** What one round of one number of processes has shown, by name. Times are in µs for a chunk and in ms for an answer; memory is in MB. */
type Found = Record<string, number>;

const variants = new Map(
  [points, 1_000].map((size) => {
    const own = join(folder, `variants-${size}`);
    mkdirSync(own);
    const list = makeVariants(size, options.streams, 80_000);
    return [size, { variants: list, variantsFile: writeVariants(own, list) }] as const;
  }),
);

async function loadOf(target: Target, size: number, count: number): Promise<Load> {
  const made = variants.get(size);
  if (made === undefined) throw new Error(`no variants of ${size} points`);
  const streams = await target.openStreams(count, size);
  const payload = {
    format: 'chunk',
    points: size,
    channels: 1,
    streams,
    variants: made.variants,
    isMix: false,
  } as const;
  return { format: 'chunk', payload, variantsFile: made.variantsFile };
}

const sum = (values: number[]) => values.reduce((all, one) => all + one, 0);
const percentile = (sorted: ArrayLike<number>, of: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * of))] as number;

async function transactions(sql: Sql): Promise<number> {
  const [row] = await sql<{ xid: number }>('select pg_snapshot_xmax(pg_current_snapshot())::text::float8 as xid');
  return row?.xid as number;
}

const connectionsOf = async (sql: Sql) =>
  (
    await sql<{ n: number }>(
      'select count(*)::float8 - 1 as n from pg_stat_activity where datname = current_database()',
    )
  )[0]?.n as number;

/** Memory of the server's processes, in MB. */
function memory(when: string, { pid }: Target): Found {
  const { pss, rss } = sharedOutBytes(pid);
  return { [`pss ${when}`]: pss / 1024 ** 2, [`rss ${when}`]: rss / 1024 ** 2 };
}

interface Side {
  workers: number;
  target: Target;
  idle: Found;
  /** A stored run, for reads. */
  run: string;
}

/** As much as the connections can send, and beside it clients that send a chunk every 400 ms. */
async function saturate({ target }: Side, postmaster: number): Promise<Found> {
  const sql = target.sql as Sql;
  const load = await loadOf(target, points, options.streams);
  const quietly = (await loadOf(target, points, quiet.clients)).payload;
  const look = async () => {
    const [server, postgres] = [target.pid, postmaster].map((pid) => sum(Object.values(cpuSeconds(pid)))) as [
      number,
      number,
    ];
    return { server, postgres, xids: await transactions(sql) };
  };
  const looks: Awaited<ReturnType<typeof look>>[] = [];
  const seen: Found = {};
  let beside: Promise<OpenLoopResult> | undefined;
  const watched: Target = {
    ...target,
    // Called before the load and after it. The chunks of the quiet clients are not those of the load.
    async storedPoints() {
      if (beside !== undefined) {
        looks.push(await look());
        Object.assign(seen, memory('loaded', target), { connections: await connectionsOf(sql) });
        return -(await beside).sent * points + (await target.storedPoints());
      }
      const stored = await target.storedPoints();
      looks.push(await look());
      const of = { ...(target.routes.chunk as Route), url: target.url, connections: quiet.clients };
      beside = runOpenLoop(
        { ...of, body: (n) => bodyOf(quietly, n) },
        { perSecond: quiet.perSecond, seconds: options.seconds },
      );
      return stored;
    },
  };
  const { requestsPerSecond, sent } = await measure(watched, { ...load, requestsMax: chunksOfRound }, options);
  const { latenciesMs, sent: sentBeside } = (await beside) as OpenLoopResult;
  const chunks = sent + sentBeside;
  const [before, after] = looks as [(typeof looks)[0], (typeof looks)[0]];
  const micros = (of: 'server' | 'postgres') => ((after[of] - before[of]) * 1e6) / chunks;
  return {
    ...{ perSecond: requestsPerSecond, server: micros('server'), postgres: micros('postgres') },
    ...{ perCommit: chunks / (after.xids - before.xids), ...seen },
    ...{ quietP50: percentile(latenciesMs, 0.5), quietP99: percentile(latenciesMs, 0.99) },
  };
}

function health({ url }: Target): Promise<number> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    get(`${url}/healthz`, { agent: false }, (answer) => {
      answer.resume().on('end', () => resolve(performance.now() - startedAt));
    }).on('error', reject);
  });
}

/** Asks /healthz every 10 ms, each time on a new connection, while a client reads. */
async function stall(what: string, target: Target, path: string): Promise<Found> {
  const asked: Promise<number>[] = [];
  const timer = setInterval(() => asked.push(health(target)), healthEveryMs);
  const took = await download(target, path, () => {});
  clearInterval(timer);
  const waits = (await Promise.all(asked)).sort((a, b) => a - b);
  return { [`${what} ms`]: took, [`${what} p50`]: percentile(waits, 0.5), [`${what} max`]: percentile(waits, 1) };
}

/** Resolves when a server has loaded its program and does nothing more. */
async function untilIdle(pid: number): Promise<void> {
  for (let last = 0; ; ) {
    const used = sum(Object.values(cpuSeconds(pid)));
    if (used - last < 0.1) return;
    last = used;
    await sleep(4_000);
  }
}

async function start(workers: number, postgres: string): Promise<Side> {
  const own = join(folder, String(workers));
  mkdirSync(own);
  const settings = { WORKERS: String(workers), EXPORT_CACHE_BYTES: '0' };
  const target = await startNodeTarget('ours', { postgres }, own, settings);
  ends.push(() => target.stop());
  // The other processes start when the first one is ready.
  while (nodePrograms(target.pid).length <= workers) await sleep(100);
  await untilIdle(target.pid);
  const idle = memory('idle', target);
  const load = await loadOf(target, 1_000, 1);
  await measure(target, { ...load, requestsMax: pointsOfRun / 1_000 - 1 }, options);
  return { workers, target, idle, run: load.payload.streams[0] as string };
}

async function round(side: Side, postmaster: number): Promise<Found> {
  return {
    ...side.idle,
    ...(await saturate(side, postmaster)),
    ...(await stall('json', side.target, `/tool-state/${side.run}/timeseries/`)),
    ...(await stall('parquet', side.target, `/exports/${side.run}?format=parquet`)),
  };
}

async function main(): Promise<void> {
  const postgres = await openCluster({ settings: { max_connections: '300' } });
  ends.push(() => postgres.remove());
  await postgres.start();
  const postmaster = Number(readFileSync(join(postgres.dataDir, 'postmaster.pid'), 'utf8').split('\n')[0]);
  const found = new Map<Side, Found[]>();
  for (const count of counts) found.set(await start(count, postgres.url()), []);
  for (let number = 0; number <= options.rounds; number++) {
    for (const [side, rounds] of found) {
      const one = await round(side, postmaster);
      // In the round before those that count, each process compiles its code.
      if (number > 0) rounds.push(one);
      const shown = Object.entries(one).map(([name, value]) => `${name} ${value.toPrecision(4)}`);
      console.error(`WORKERS=${side.workers}: ${shown.join(', ')}`);
    }
  }
  const all = [...found.values()];
  console.log(
    `\n| median of ${options.rounds} rounds (median of the ratios to WORKERS=${counts[0]}) | ${counts.join(' | ')} |`,
  );
  console.log(`|---|${counts.map(() => '---').join('|')}|`);
  for (const name of Object.keys(all[0]?.[0] ?? {})) {
    const cells = all.map((rounds) => {
      const ratio = median(rounds.map((one, i) => (one[name] as number) / (all[0]?.[i]?.[name] as number)));
      return `${median(rounds.map((one) => one[name] as number)).toPrecision(3)} (${ratio.toFixed(2)} ×)`;
    });
    console.log(`| ${name} | ${cells.join(' | ')} |`);
  }
}

async function end(): Promise<void> {
  for (const one of ends.splice(0).reverse()) await one().catch((error) => console.error(error));
  rmSync(folder, { recursive: true, force: true });
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void end().finally(() => process.exit(130)));
try {
  await main();
} finally {
  await end();
}
