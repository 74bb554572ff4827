import { verify } from '../../../src/verify/verify.ts';
import { storeAsSent } from '../../support/as-sent.ts';
import type { TestServer } from '../../support/test-server.ts';
import { fillChannel } from '../../timeseries/support/storing.ts';

/** The streams of a filled database, by what they are for. */
export type Filled = Record<'mixed' | 'long' | 'finalized' | 'packed' | 'foreign' | 'deleted', string>;

/** Chunks of the long channel: so many that its overview has two levels. */
const longChunks = 64 * 64 + 100;

/**
 * Stores what reads can meet: packed and unpacked series, absent readings, holes, chunks that overlap in time, replaced chunks,
 * overviews of two levels, a finalized stream with sample, project and tags, a deleted one, and one of another organization.
 */
export async function fillDatabase(server: TestServer): Promise<Filled> {
  const open = async (name: string, pointsPerChunk: number, key?: string): Promise<string> => {
    const body = { stream_name: name, points_per_chunk: pointsPerChunk };
    return succeeded(await server.post('/metrology/stream/initialize', body, key)).data_id;
  };
  const streams = {
    mixed: await open('mixed', 10),
    long: await open('long', 2),
    finalized: await open('finalized', 20),
    packed: await open('packed', 50),
    foreign: await open('foreign', 10, server.keys.rival),
    deleted: await open('deleted', 10),
  };
  await fillMixed(server, streams.mixed);
  await storeAsSent(server.owner);
  await fillPacked(server, streams.packed);
  await fillLong(server, streams.long);
  await fillFinalized(server, streams.finalized);
  for (const [name, key] of [['foreign', server.keys.rival], ['deleted']] as const)
    await store(server, streams[name], 'p', 0, { timestamps: [1, 2, 3], values: [1, 2, 3] }, key);
  succeeded(await server.send('DELETE', `/data_entries/?data_ids=${streams.deleted}`));
  return streams;
}

interface Readings {
  timestamps: unknown[];
  values: unknown[];
  units?: string;
}

async function store(
  server: TestServer,
  dataId: string,
  channel: string,
  chunkIndex: number,
  readings: Readings,
  key?: string,
): Promise<void> {
  const body = { data_id: dataId, channel_name: channel, chunk_index: chunkIndex, ...readings };
  succeeded(await server.post('/metrology/stream/chunk', body, key));
}

/** Readings a tenth of a second apart, some of which are absent. */
function regular(first: number, count: number, units?: string): Readings {
  const places = Array.from({ length: count }, (_, i) => first + i);
  return {
    timestamps: places.map((i) => 1_700_000_000 + i / 10),
    values: places.map((i) => (i % 7 === 3 ? null : Math.sin(i) * 10)),
    ...(units !== undefined && { units }),
  };
}

async function fillMixed(server: TestServer, dataId: string): Promise<void> {
  for (let chunk = 0; chunk < 40; chunk++) {
    // Two holes: one of a single chunk, one longer.
    if (chunk === 7 || (chunk > 20 && chunk < 26)) continue;
    await store(server, dataId, 'pressure', chunk, regular(chunk * 10, 10, 'mbar'));
    await store(server, dataId, 'Temperatur °C', chunk, regular(chunk * 10 + 3, 10));
    if (chunk % 4 === 0) await store(server, dataId, 'every fourth', chunk, regular(chunk * 10, 10, 'V'));
    // They overlap in time.
    if (chunk < 6) await store(server, dataId, 'again', chunk, regular(chunk * 4, 10));
  }
  const odd = [-0, 5e-324, 1.7976931348623157e308, 0.1, 1 / 3, 123_456_789.123_456_7, null, 1, 2, 3];
  await store(server, dataId, 'odd', 0, { timestamps: regular(0, 10).timestamps, values: odd });
  await store(server, dataId, 'unordered', 0, {
    timestamps: [5, 4, 4, 9, -3].map((second) => 1_700_000_000 + second),
    values: [1, 2, 3, 4, null],
  });
  for (const chunk of [3, 4, 3, 30]) {
    const { timestamps } = regular(chunk * 10, 9);
    const values = timestamps.map((_, i) => chunk * 100 + i);
    await store(server, dataId, 'pressure', chunk, { timestamps, values, units: 'bar' }, server.keys.grace);
    await store(server, dataId, 'pressure', chunk, { timestamps, values: [...values].reverse(), units: 'bar' });
  }
}

async function fillPacked(server: TestServer, dataId: string): Promise<void> {
  for (let chunk = 0; chunk < 70; chunk++) {
    const places = Array.from({ length: 50 }, (_, i) => chunk * 50 + i);
    const values = places.map((i) => Math.round(Math.sin(i / 50) * 1_000) / 100);
    const timestamps = places.map((i) => 1_700_000_000 + i / 4);
    await store(server, dataId, 'counts', chunk, { timestamps, values, units: 'nm' });
  }
}

async function fillLong(server: TestServer, dataId: string): Promise<void> {
  await fillChannel(server, dataId, 'long', { chunks: longChunks, points: 2 });
  await fillChannel(server, dataId, 'shorter', { chunks: 700, points: 2, stepSeconds: 0.03 });
  // A block of the overview that is missing, so that reads look at its chunks.
  await verify(server.database, () => {}, { repairs: true });
  await server.owner.pool.query('delete from overviews where data_id = $1::uuid and "level" = 1 and block = 9', [
    dataId,
  ]);
}

async function fillFinalized(server: TestServer, dataId: string): Promise<void> {
  for (let chunk = 0; chunk < 12; chunk++) await store(server, dataId, 'flow', chunk, regular(chunk * 20, 20, 'l/min'));
  const sample = succeeded(await server.post('/physical_samples/', { name: 'wafer 7' }));
  succeeded(
    await server.post('/data_entries/physical_sample', {
      data_ids: [dataId],
      physical_sample_id: sample.id ?? sample.physical_sample_id,
    }),
  );
  const tag = succeeded(await server.post('/tags/', { name: 'good' }));
  succeeded(await server.post('/tags/data-items/', { tag_ids: [tag.id ?? tag.tag_id], data_ids: [dataId] }));
  succeeded(await server.post(`/metrology/stream/${dataId}/finalize`));
}

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
function succeeded(answer: { status: number; text: string; json: any }): any {
  if (answer.status >= 300) throw new Error(`${answer.status} ${answer.text}`);
  return answer.json;
}
