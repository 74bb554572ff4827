/**
 * What it costs to store series packed, against as they were sent: processor time of PostgreSQL, write-ahead log and disk,
 * for chunks of the same kind, in alternating runs on a PostgreSQL of its own. The chunks are a mix as labs send it: times
 * from a clock with 1 ms of jitter, values with three decimals, one channel in eight with float32, one in sixteen with all
 * digits.
 *
 *   npm run bench -- --packing
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureUser } from '../src/auth/people-store.ts';
import { type Database, type OwnerDatabase, openAsOwner, openDatabase } from '../src/database/database.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/database/embedded.ts';
import { migrate } from '../src/database/migrate.ts';
import { makeRoles } from '../src/database/roles.ts';
import { createPacker, type Packer } from '../src/database/series-packer.ts';
import { toChunkImage } from '../src/streams/chunk-image.ts';
import { createFlush } from '../src/streams/flush.ts';
import type { Arrival, IngestItem } from '../src/streams/ingest-rows.ts';
import { createKnownChannels } from '../src/streams/known-channels.ts';
import { streamLimits } from '../src/streams/limits.ts';
import { insertStream } from '../src/streams/store.ts';

const pointsPerRun = Number(process.env.PACKING_POINTS ?? 1_000_000);
const rounds = Number(process.env.PACKING_ROUNDS ?? 3);
const channels = 64;
const quiet = { info() {}, warn() {}, error() {} };
const clockTickMs = 10;

interface Bed {
  postgres: EmbeddedPostgres;
  database: Database;
  owner: OwnerDatabase;
  folder: string;
}

async function open(): Promise<Bed> {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-packing-'));
  const postgres = await startEmbeddedPostgres({ dataDir: folder, log: quiet });
  const owner = openAsOwner(postgres.connectionString, { onIdleError: () => {} });
  await makeRoles(owner);
  await migrate(owner);
  const database = openDatabase(postgres.connectionString, { poolMax: 2, onIdleError: () => {} });
  return { postgres, database, owner, folder };
}

async function close({ postgres, database, owner, folder }: Bed): Promise<void> {
  await Promise.all([database.close(), owner.close()]);
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
}

/** The figures of one run: microseconds for each chunk, bytes for each point. */
interface Outcome {
  postgresUs: number;
  serverUs: number;
  logBytes: number;
  diskBytes: number;
}

/** Writes chunks to 64 channels of 16 streams, in flushes of 64. */
async function write(bed: Bed, pointsPerChunk: number, packer: Packer | undefined): Promise<Outcome> {
  const { database, owner } = bed;
  const { organization_id, user_id } = await ensureUser(database, 'bench', 'bench');
  await owner.pool.query('truncate streams cascade; truncate chunks');
  const stream = { user_id, stream_name: 'bench', points_per_chunk: pointsPerChunk };
  const streams = await Promise.all(
    Array.from({ length: 16 }, async () => {
      const ids = { data_id: randomUUID(), processed_data_id: randomUUID() };
      await insertStream(database.as(organization_id), streamLimits, { ...ids, ...stream });
      return ids.data_id;
    }),
  );
  const known = createKnownChannels(streamLimits.knownChannelsMax);
  const flush = createFlush({ database, graceSeconds: 120, limits: streamLimits, now: () => performance.now(), known });
  const flushes = Math.max(4, Math.ceil(pointsPerRun / pointsPerChunk / channels));
  // The first two flushes do not count: they create the channels, and PostgreSQL plans the statements.
  let before = await state(bed);
  let ownUs = 0;
  for (let index = 0; index < flushes; index++) {
    if (index === 2) {
      await owner.pool.query('checkpoint');
      before = await state(bed);
      ownUs = 0;
    }
    const readings = Array.from({ length: channels }, (_, channel) => readingsOf(channel, index, pointsPerChunk));
    const beginning = process.cpuUsage();
    const items = readings.map((one, channel): IngestItem => {
      const arrivals = [{ channelName: `channel-${channel >> 4}`, image: toChunkImage(one, packer) }];
      return item(organization_id, streams[channel % 16] as string, index, arrivals);
    });
    for (const result of await flush(items)) if (!(result instanceof Map)) throw result;
    const { user, system } = process.cpuUsage(beginning);
    ownUs += user + system;
  }
  const after = await state(bed);
  const chunks = (flushes - 2) * channels;
  await owner.pool.query('checkpoint');
  const { rows } = await owner.pool.query(
    `select sum(pg_total_relation_size(c.oid))::float8 as bytes
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'public' and c.relkind in ('r', 'p', 'm')`,
  );
  return {
    postgresUs: ((after.cpuMs - before.cpuMs) * 1_000) / chunks,
    serverUs: ownUs / chunks,
    logBytes: (after.wal - before.wal) / chunks / pointsPerChunk,
    diskBytes: rows[0].bytes / flushes / channels / pointsPerChunk,
  };
}

function readingsOf(channel: number, index: number, pointsPerChunk: number) {
  const first = 1_705_312_200 + index * pointsPerChunk;
  const timestamps = Array.from({ length: pointsPerChunk }, (_, i) => first + i + (Math.random() - 0.5) * 0.002);
  const kind = channel % 16;
  const values = timestamps.map((_, i) => {
    const value = 580 + Math.sin(i / 50) * 20 + Math.random();
    if (kind === 0) return value;
    return kind === 4 || kind === 12 ? Math.fround(value) : Math.round(value * 1_000) / 1_000;
  });
  return { timestamps, values, units: 'C' };
}

const item = (organizationId: string, dataId: string, chunkIndex: number, arrivals: Arrival[]): IngestItem => ({
  ...{ organizationId, keyId: 1, dataId, chunkIndex, arrivals },
  ...{ isRestoring: false, slices: [], bytes: 0, arrivedAt: performance.now() },
});

async function state({ owner, folder }: Bed) {
  const { rows } = await owner.pool.query(`select pg_current_wal_insert_lsn() - '0/0'::pg_lsn as wal`);
  return { wal: Number(rows[0].wal), cpuMs: await postgresCpuMs(folder) };
}

/** Processor time of the living children of the postmaster. Ingest keeps its connections, so all its work is counted. */
async function postgresCpuMs(folder: string): Promise<number> {
  const [place] = (await readdir(folder)).filter((name) => name === 'postgres');
  const pid = (await readFile(join(folder, place as string, 'postmaster.pid'), 'utf8')).split('\n')[0];
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ');
  let ticks = 0;
  for (const child of children) {
    const fields = (await readFile(`/proc/${child}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * clockTickMs;
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] as number;

console.log('| points a chunk | stored | PostgreSQL µs a chunk | server µs a chunk | log B a point | disk B a point |');
console.log('|---|---|---|---|---|---|');
const bed = await open();
for (const points of [100, 1_000]) {
  const outcomes: Record<string, Outcome[]> = { 'as sent': [], packed: [] };
  for (let round = 0; round < rounds; round++) {
    outcomes['as sent']?.push(await write(bed, points, undefined));
    outcomes.packed?.push(await write(bed, points, createPacker()));
  }
  for (const [name, all] of Object.entries(outcomes)) {
    const middle = (of: keyof Outcome) => median(all.map((outcome) => outcome[of])).toFixed(of.endsWith('Us') ? 1 : 2);
    console.log(
      `| ${points} | ${name} | ${middle('postgresUs')} | ${middle('serverUs')} | ${middle('logBytes')} | ${middle('diskBytes')} |`,
    );
  }
}
await close(bed);
