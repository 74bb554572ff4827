import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { clusterFolder } from '../../src/database/embedded/cluster.ts';
import { isPostgresOf, readPostmasterFile, stopPostmaster } from '../../src/database/embedded/processes.ts';
import { runningEmbeddedPostgres } from '../../src/database/embedded.ts';
import type { Options } from './options.ts';
import { freePort, nodeFlags, startProcess, untilReady } from './processes.ts';
import type { Route, Sql, Target } from './target.ts';

type NodeKind = 'ours' | 'packed' | 'as-sent' | 'without-overviews' | 'ceiling' | 'straightforward';

const shared = 'fsync before the answer, shared by a flush';
const programs: Record<NodeKind, { name: string; durability: string; script: string }> = {
  ours: { name: 'metrology-server', durability: shared, script: 'src/main.js' },
  packed: { name: 'one process that packs', durability: shared, script: 'bench/targets/one-process.js packed' },
  'as-sent': {
    name: 'one process that stores as sent',
    durability: shared,
    script: 'bench/targets/one-process.js as-sent',
  },
  'without-overviews': {
    name: 'one process without overviews',
    durability: shared,
    script: 'bench/targets/one-process.js without-overviews',
  },
  ceiling: { name: 'HTTP ceiling', durability: 'stores nothing', script: 'bench/targets/ceiling.js' },
  straightforward: {
    name: 'straightforward server',
    durability: 'fsync before the answer, one commit per request',
    script: 'bench/targets/straightforward.js',
  },
};

/** The folder into which start.mjs has compiled `src` and `bench`. */
const built = fileURLToPath(new URL('../../', import.meta.url));

/** Starts a server of this project with a new database. */
export async function startNodeTarget(
  kind: NodeKind,
  options: Pick<Options, 'postgres'>,
  folder: string,
  settings: Record<string, string> = settingsFromHere(),
): Promise<Target> {
  const { name, durability, script } = programs[kind];
  const [path, ...args] = script.split(' ');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const key = `bench-${randomBytes(16).toString('hex')}`;
  const dataDir = join(folder, 'data');
  const place = await makePlace(options.postgres, dataDir);
  const running = startProcess(process.execPath, [...nodeFlags, join(built, path as string), ...args], {
    ...settings,
    ...place.settings,
    PORT: String(port),
    BOOTSTRAP_API_KEY: key,
    LOG_LEVEL: 'error',
  });
  await untilReady(running, `${url}/readyz`);
  const client = await connect(await place.connectionString()).catch(async (error) => {
    await running.stop();
    throw error;
  });
  const sql: Sql = async (text, values) => (await client.query(text, values)).rows;
  const route = (path: string): Route => ({ path, headers: { 'X-API-KEY': key }, expectedStatus: 201 });
  return {
    ...{ kind, name, durability, url, pid: running.pid, key, sql, settings: place.settings },
    copyOut: (statement) => countCopied(client, statement),
    routes: { chunk: route('/tool-state/stream/chunk'), multi: route('/tool-state/stream/chunk/multi') },
    openStreams: (count, pointsPerChunk) =>
      Promise.all(Array.from({ length: count }, () => openStream(url, key, pointsPerChunk))),
    storedPoints: () => (kind === 'ceiling' ? receivedPoints(url) : countPoints(kind, sql)),
    async stop() {
      await client.end();
      const byItself = await running.stop();
      if (!byItself) await stopLeftPostgres(dataDir);
      await place.remove();
    },
  };
}

async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  // The connection breaks when the server stops its PostgreSQL.
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function countCopied(client: pg.Client, statement: string): Promise<number> {
  let bytes = 0;
  for await (const piece of client.query(copyTo(statement))) bytes += (piece as Buffer).length;
  return bytes;
}

/** Settings of the server that may be given to the bench: WORKERS, to measure another number of them. */
function settingsFromHere(): Record<string, string> {
  const { WORKERS } = process.env;
  return WORKERS === undefined ? {} : { WORKERS };
}

interface Place {
  settings: Record<string, string>;
  connectionString(): Promise<string>;
  remove(): Promise<void>;
}

async function makePlace(postgres: string | undefined, dataDir: string): Promise<Place> {
  if (postgres === undefined) {
    return {
      settings: { DATA_DIR: dataDir },
      async connectionString() {
        const found = await runningEmbeddedPostgres(dataDir);
        if (found === undefined) throw new Error(`no PostgreSQL runs in ${dataDir}`);
        return found;
      },
      remove: async () => {},
    };
  }
  const database = `metrology_bench_${process.pid}_${randomBytes(4).toString('hex')}`;
  const url = new URL(postgres);
  url.pathname = `/${database}`;
  await administer(postgres, `create database ${database}`);
  return {
    settings: { DATABASE_URL: url.href, DATA_DIR: dataDir },
    connectionString: async () => url.href,
    remove: () => administer(postgres, `drop database ${database} with (force)`),
  };
}

async function administer(postgres: string, statement: string): Promise<void> {
  const client = await connect(postgres);
  await client.query(statement).finally(() => client.end());
}

/** A server that had to be killed leaves its PostgreSQL behind. */
async function stopLeftPostgres(dataDir: string): Promise<void> {
  const cluster = clusterFolder(dataDir);
  const left = readPostmasterFile(cluster);
  if (left && isPostgresOf(cluster, left.pid)) {
    await stopPostmaster(left.pid, 10_000, () => isPostgresOf(cluster, left.pid));
  }
}

async function openStream(url: string, key: string, pointsPerChunk: number): Promise<string> {
  const answer = await fetch(`${url}/tool-state/stream/initialize`, {
    method: 'POST',
    headers: { 'X-API-KEY': key, 'Content-Type': 'application/json' },
    body: JSON.stringify({ points_per_chunk: pointsPerChunk, stream_name: 'bench' }),
  });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`initialize was answered ${answer.status}: ${text}`);
  return (JSON.parse(text) as { data_id: string }).data_id;
}

async function receivedPoints(url: string): Promise<number> {
  const answer = await fetch(`${url}/points`);
  return ((await answer.json()) as { points: number }).points;
}

/** Counts the stored points. @throws when the counters of the channels differ from them */
async function countPoints(kind: NodeKind, sql: Sql): Promise<number> {
  const schema = kind === 'straightforward' ? 'straightforward' : 'public';
  const [row] = await sql<{ chunks: number; channels: number }>(
    `select (select coalesce(sum(point_count), 0)::float8 from ${schema}.chunks) as chunks,
            (select coalesce(sum(point_count), 0)::float8 from ${schema}.channels) as channels`,
  );
  const { chunks, channels } = row as { chunks: number; channels: number };
  if (chunks !== channels) throw new Error(`${kind}: ${chunks} points are stored, but its counters say ${channels}`);
  return chunks;
}
