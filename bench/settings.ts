/**
 * The measurements behind three settings, on an embedded PostgreSQL of their own: how the arrays of `chunks` are stored,
 * how full pages of `channels` are packed, and how the write-ahead log is written. Prints one table for each.
 *
 *   npm run bench -- --settings
 *
 * CPU is the processor time of all PostgreSQL processes. On a busy machine it varies less than the elapsed time.
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
import { toChunkImage } from '../src/streams/chunk-image.ts';
import { createFlush } from '../src/streams/flush.ts';
import type { IngestItem } from '../src/streams/ingest-rows.ts';
import { streamLimits } from '../src/streams/limits.ts';
import { insertStream } from '../src/streams/store.ts';

const pointsPerRun = Number(process.env.SETTINGS_POINTS ?? 2_000_000);
const quiet = { info() {}, warn() {}, error() {} };
const clockTickMs = 10;

interface Bed {
  postgres: EmbeddedPostgres;
  database: Database;
  owner: OwnerDatabase;
  folder: string;
}

async function open(settings: Record<string, string>): Promise<Bed> {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-settings-'));
  const postgres = await startEmbeddedPostgres({ dataDir: folder, log: quiet, settings });
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

interface Outcome {
  cpuMsPerMillion: number;
  clockMsPerMillion: number;
  bytesPerPoint: number;
  walBytesPerPoint: number;
  hotShare: number;
}

/** Writes chunks of one size to 16 streams in flushes of up to 64, as ingest does. @returns what that cost */
async function write(bed: Bed, pointsPerChunk: number): Promise<Outcome> {
  const { database, owner } = bed;
  const { organization_id, user_id } = await ensureUser(database, 'bench', 'bench');
  const streams = await Promise.all(
    Array.from({ length: 16 }, () =>
      insertStream(database.as(organization_id), streamLimits, {
        data_id: randomUUID(),
        processed_data_id: randomUUID(),
        user_id,
        stream_name: 'bench',
        points_per_chunk: pointsPerChunk,
      }),
    ),
  );
  const flush = createFlush({ database, graceSeconds: 120, limits: streamLimits, now: () => performance.now() });
  const chunks = Math.max(64, Math.floor(pointsPerRun / pointsPerChunk));
  const flushRows = Math.min(64, Math.max(1, Math.floor(500_000 / pointsPerChunk)));
  await owner.pool.query('checkpoint');
  const before = await state(bed);
  for (let start = 0; start < chunks; start += flushRows) {
    const items = Array.from({ length: Math.min(flushRows, chunks - start) }, (_, i): IngestItem => {
      const index = start + i;
      const dataId = (streams[index % streams.length] as { data_id: string }).data_id;
      return item(organization_id, dataId, Math.floor(index / streams.length), pointsPerChunk);
    });
    for (const result of await flush(items)) if (!(result instanceof Map)) throw result;
  }
  const after = await state(bed);
  await owner.pool.query('vacuum analyze chunks, channels');
  const { rows } = await owner.pool.query(
    `select sum(pg_total_relation_size(oid)) as bytes from pg_class where relname in ('chunks', 'channels')`,
  );
  const points = chunks * pointsPerChunk;
  return {
    cpuMsPerMillion: ((after.cpuMs - before.cpuMs) / points) * 1e6,
    clockMsPerMillion: ((after.clockMs - before.clockMs) / points) * 1e6,
    bytesPerPoint: Number(rows[0].bytes) / points,
    walBytesPerPoint: (after.wal - before.wal) / points,
    hotShare: (after.hot - before.hot) / Math.max(1, after.updates - before.updates),
  };
}

/** Readings as an instrument gives them: a slow curve with noise, three decimals. */
function item(organizationId: string, dataId: string, chunkIndex: number, pointsPerChunk: number): IngestItem {
  const first = 1_705_312_200 + chunkIndex * pointsPerChunk * 0.1;
  const timestamps = Array.from({ length: pointsPerChunk }, (_, i) => first + i * 0.1);
  const values = timestamps.map((_, i) => Math.round((580 + Math.sin(i / 50) * 20 + Math.random()) * 1_000) / 1_000);
  const image = toChunkImage({ timestamps, values, units: 'C' });
  const arrivals = [{ channelName: 'temperature', image }];
  return {
    organizationId,
    keyId: 1,
    dataId,
    chunkIndex,
    arrivals,
    isRestoring: false,
    slices: [],
    bytes: 0,
    arrivedAt: performance.now(),
  };
}

async function state({ owner, folder }: Bed) {
  const { rows } = await owner.pool.query(
    `select pg_stat_force_next_flush(), pg_current_wal_insert_lsn() - '0/0'::pg_lsn as wal,
            (select n_tup_upd from pg_stat_user_tables where relname = 'channels') as updates,
            (select n_tup_hot_upd from pg_stat_user_tables where relname = 'channels') as hot`,
  );
  const { wal, updates, hot } = rows[0] as { wal: string; updates: number; hot: number };
  return { wal: Number(wal), updates, hot, cpuMs: await postgresCpuMs(folder), clockMs: performance.now() };
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

const shown = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2));

function row(cells: (string | number)[]): void {
  console.log(`| ${cells.map((cell) => (typeof cell === 'number' ? shown(cell) : cell)).join(' | ')} |`);
}

async function storageTable(): Promise<void> {
  console.log('\nStorage of the arrays (embedded PostgreSQL 18)\n');
  row(['points a chunk', 'storage', 'bytes a point', 'WAL bytes a point', 'PostgreSQL CPU ms a million points']);
  row(['---', '---', '---', '---', '---']);
  for (const pointsPerChunk of [10, 100, 1_000, 10_000]) {
    for (const storage of ['external', 'extended', 'main']) {
      const bed = await open({});
      await bed.owner.pool.query(
        `alter table chunks alter column timestamps set storage ${storage}, alter column values set storage ${storage}`,
      );
      const { bytesPerPoint, walBytesPerPoint, cpuMsPerMillion } = await write(bed, pointsPerChunk);
      row([String(pointsPerChunk), storage, bytesPerPoint, walBytesPerPoint, cpuMsPerMillion]);
      await close(bed);
    }
  }
}

async function fillFactorTable(): Promise<void> {
  console.log('\nFill factor of channels (100 points a chunk)\n');
  row(['fill factor', 'HOT share of counter updates', 'PostgreSQL CPU ms a million points']);
  row(['---', '---', '---']);
  for (const fillFactor of [100, 70, 50, 30]) {
    const bed = await open({});
    await bed.owner.pool.query(`alter table channels set (fillfactor = ${fillFactor})`);
    const { hotShare, cpuMsPerMillion } = await write(bed, 100);
    row([String(fillFactor), hotShare, cpuMsPerMillion]);
    await close(bed);
  }
}

async function logTable(): Promise<void> {
  console.log('\nWrite-ahead log (100 points a chunk)\n');
  row(['settings', 'WAL bytes a point', 'PostgreSQL CPU ms a million points', 'clock ms a million points']);
  row(['---', '---', '---', '---']);
  const choices: Record<string, string>[] = [
    {},
    { wal_compression: 'pglz' },
    { max_wal_size: '1GB' },
    { wal_buffers: '64MB' },
    { commit_delay: '500' },
  ];
  for (const settings of choices) {
    const bed = await open(settings);
    const { walBytesPerPoint, cpuMsPerMillion, clockMsPerMillion } = await write(bed, 100);
    const name = Object.entries(settings).map(([key, value]) => `${key} = ${value}`);
    row([name.join(', ') || 'as shipped', walBytesPerPoint, cpuMsPerMillion, clockMsPerMillion]);
    await close(bed);
  }
}

await storageTable();
await fillFactorTable();
await logTable();
