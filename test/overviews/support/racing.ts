import { expect } from 'vitest';
import { checkOverviews } from '../../../src/overviews/check-overviews.ts';
import { openStream, type Readings, storeChunk } from '../../ledger/support/storing.ts';
import { joinTestServer, startTestServer, type TestServer } from '../../support/test-server.ts';

/* Several servers on one database that make overviews while chunks come and go, and one whose reads do without. */

export interface Servers {
  /** They make overviews at once and of all, and read by them. */
  makers: [TestServer, TestServer];
  plain: TestServer;
  close(): Promise<void>;
}

export const eager = { quietShare: 1, busyShare: 1, walkPauseMs: 0, lateChunks: 0, overviewLockMsMax: 2_000 };

export async function startServers(): Promise<Servers> {
  const makes = { overviews: eager, points: { overviewChunksMin: 0 } };
  const first = await startTestServer({}, makes);
  const second = await joinTestServer(first, {}, undefined, makes);
  const plain = await joinTestServer(first, {}, undefined, {
    overviews: { waitingMax: 0 },
    points: { overviewChunksMin: Number.POSITIVE_INFINITY, looseChunksMax: 1_000_000 },
  });
  return {
    makers: [first, second],
    plain,
    async close() {
      await Promise.all([plain.close(), second.close()]);
      await first.close();
    },
  };
}

/** Numbers from 0 to below 1 that look random and are the same each time. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

export const pointsPerChunk = 3;

/** Readings near the place of a chunk, or now and then elsewhere; some absent, some at equal times, very seldom none at a possible time. */
export function readingsAt(index: number, random: (below: number) => number): Readings {
  const second = random(20) === 0 ? random(700) : index;
  const isTimeless = random(2_000) === 0;
  const isEmpty = random(30) === 0;
  const timestamps = Array.from({ length: pointsPerChunk }, (_, i) =>
    isTimeless || random(40) === 0 ? null : 1_000 + second + (random(6) === 0 ? 0 : i / 4),
  );
  const values = timestamps.map(() => (isEmpty || random(12) === 0 ? null : (random(2_000) - 1_000) / 8));
  return { timestamps, values };
}

export interface Run {
  dataId: string;
  channels: string[];
  chunks: number;
}

export async function openRun({ makers: [server] }: Servers, chunks: number, isFilled: boolean): Promise<Run> {
  const dataId = await openStream(server, pointsPerChunk);
  const run = { dataId, channels: ['a', 'b'], chunks };
  const random = randomFrom(7);
  for (let from = 0; isFilled && from < chunks; from += 32) {
    const indexes = Array.from({ length: Math.min(32, chunks - from) }, (_, i) => from + i);
    const all = indexes.flatMap((index) => run.channels.map((channel) => ({ channel, index })));
    await Promise.all(
      all.map(({ channel, index }) => storeChunk(server, dataId, channel, index, readingsAt(index, random))),
    );
  }
  return run;
}

/** Everything that changes what an overview is made of, or asks for one, at random and side by side. */
export async function race(servers: Servers, runs: Run[], steps: number, random: (below: number) => number) {
  const writers = Array.from({ length: 8 }, async () => {
    for (let step = 0; step < steps; step++) await act(servers, runs, random);
  });
  await Promise.all(writers);
}

async function act(servers: Servers, runs: Run[], random: (below: number) => number): Promise<void> {
  const run = runs[random(runs.length)] as Run;
  const server = servers.makers[random(2)] as TestServer;
  const channel = run.channels[random(run.channels.length)] as string;
  const index = random(run.chunks);
  const kind = random(100);
  if (kind < 45) {
    await storeChunk(server, run.dataId, channel, index, readingsAt(index, random)).catch((error: Error) => {
      // Its run was removed meanwhile.
      if (!/not found/i.test(error.message)) throw error;
    });
  } else if (kind < 60) {
    const body = { channel_name: channel, chunk_index: index, revision: 1 };
    const { status } = await server.post(`/metrology/stream/${run.dataId}/chunks/restore`, body);
    expect([200, 404]).toContain(status);
  } else if (kind < 70) await replaceAsBefore(server, run, channel, index, random);
  else if (kind < 97) {
    const from = random(run.chunks);
    const window = random(2) === 0 ? '' : `&start=${1_000 + from}&end=${1_000 + from + random(200)}`;
    const { status } = await server.get(`/metrology/${run.dataId}/timeseries/?max_points=${10 + random(60)}${window}`);
    expect([200, 404]).toContain(status);
  } else if (kind < 98) await expectAllRight(server);
  else if (run !== runs[0]) {
    // Another is opened in its place, which fills up out of order.
    const next = await openRun(servers, run.chunks, false);
    if (runs.includes(run)) runs[runs.indexOf(run)] = next;
    const { status } = await server.send('DELETE', `/data_entries/?data_ids=${run.dataId}&permanent=true`);
    expect([200, 404]).toContain(status);
  }
}

/** What a server of the release before does to a row: it locks the channel, and knows of no overviews. */
async function replaceAsBefore(
  { owner }: TestServer,
  { dataId }: Run,
  channel: string,
  index: number,
  random: (below: number) => number,
): Promise<void> {
  const client = await owner.pool.connect();
  try {
    await client.query('begin');
    const { rows } = await client.query(
      'select channel_id from channels where data_id = $1 and channel_name = $2 for no key update',
      [dataId, channel],
    );
    await client.query(
      `update chunks set value_max = value_max + 1, content_hash = sha256(content_hash || $4::bytea)
       where data_id = $1 and channel_id = $2 and chunk_index = $3 and value_max is not null`,
      [dataId, rows[0]?.channel_id ?? 0, index, Buffer.of(random(256))],
    );
    await client.query(random(8) === 0 ? 'rollback' : 'commit');
  } finally {
    client.release();
  }
}

/** Every block that is stored at this moment is what would be made of its chunks. */
export async function expectAllRight({ database }: TestServer): Promise<number> {
  const differences: unknown[] = [];
  const limits = { blocksMax: 100, channelsMax: 100, walkedChunksMax: 1_000 };
  const { checked } = await checkOverviews({ database, limits }, (one) => differences.push(one));
  expect(differences).toEqual([]);
  return checked;
}

/** Reads by overviews, whichever of them are there, answer what reads without them answer. */
export async function expectSameReads({ makers, plain }: Servers, runs: Run[], random: (below: number) => number) {
  for (const { dataId, chunks } of runs) {
    for (let i = 0; i < 6; i++) {
      const from = 1_000 + random(chunks);
      const window = i < 2 ? '' : `&start=${from}&end=${from + random(chunks)}`;
      const series = `/metrology/${dataId}/timeseries/?max_points=${2 + random(90)}${window}`;
      const statistics = `/metrology/${dataId}/statistics/?${window.slice(1)}`;
      const wanted = await plain.get(series);
      const known = await plain.get(statistics);
      for (const server of makers) {
        const found = await server.get(series);
        expect([found.status, found.text], series).toEqual([wanted.status, wanted.text]);
        const told = await server.get(statistics);
        expect([told.status, toDigits(told.json)], statistics).toEqual([known.status, toDigits(known.json)]);
      }
    }
  }
}

/** Numbers with twelve digits: sums that are grouped otherwise differ behind them. */
const toDigits = (json: unknown): unknown =>
  JSON.parse(JSON.stringify(json), (_, value) => (typeof value === 'number' ? Number(value.toPrecision(12)) : value));
