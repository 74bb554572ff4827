import { setTimeout as sleep } from 'node:timers/promises';
import type { Run } from '../../faults/support/run.ts';
import type { Bench } from './bench.ts';
import { query } from './cluster.ts';
import type { SdkProcess } from './sdk.ts';

const points = 10;
const start = 1_700_000_000;
/** A try has 30 s; between tries are pauses. */
const oneTryMs = 32_000;
const threeTriesMs = 93_000;

interface Shown {
  point_count: number;
  chunks: { chunk_index: number; timestamps: number[]; values: number[] }[];
}

/** The long streams of the SDK: every chunk that was pushed is there, once, with the bits it was pushed with. */
export async function blameStreams(run: Run, bench: Bench): Promise<void> {
  const { newest, old } = bench.streams;
  await Promise.all([blameStream(run, bench, newest, threeTriesMs), blameStream(run, bench, old, oneTryMs)]);
}

async function blameStream(run: Run, bench: Bench, sdk: SdkProcess, waitMsMax: number): Promise<void> {
  const dataId = await sdk.told('opened');
  sdk.next();
  const pushed = await sdk.told('pushed');
  const channels = await sdk.told('channels');
  run.seen(`chunks pushed by the SDK (${sdk.name})`, pushed * channels.length);
  const lost = await waitFor(bench, { dataId, channels, pushed }, waitMsMax);
  run.seen(`chunks lost by the SDK (${sdk.name})`, lost.length);
  // The old one loses what was under way when its server was killed, and nobody can prevent it.
  if (lost.length > 0 && sdk === bench.streams.newest) {
    run.blame(sdk.name, `${lost.length} chunks are missing: ${lost.slice(0, 10).join(', ')}`);
  }
  sdk.next();
  await sdk.ended();
  for (const { call, error } of sdk.said()) if (error !== undefined) run.blame(sdk.name, `${call}: ${error}`);
  for (const channel of channels) await blameContent(run, bench, dataId, channel, pushed);
}

interface Pushed {
  dataId: string;
  channels: readonly string[];
  pushed: number;
}

/** Pushes are not awaited by anybody, so what is missing may still come. @returns what does not, as channel and index */
async function waitFor({ client }: Bench, { dataId, channels, pushed }: Pushed, waitMsMax: number): Promise<string[]> {
  const until = performance.now() + waitMsMax;
  for (;;) {
    const missing: string[] = [];
    for (const channel of channels) {
      const there = new Set((await read(client, dataId, channel)).chunks.map(({ chunk_index }) => chunk_index));
      for (let index = 0; index < pushed; index++) if (!there.has(index)) missing.push(`${channel} ${index}`);
    }
    if (missing.length === 0 || performance.now() > until) return missing;
    await sleep(1_000);
  }
}

async function read(client: Bench['client'], dataId: string, channel: string): Promise<Shown> {
  const { status, body } = await client.send('GET', `/tool-state/${dataId}/points/?channel=${channel}`);
  if (status !== 200) throw new Error(`points: ${status} ${body.slice(0, 200)}`);
  return JSON.parse(body) as Shown;
}

async function blameContent(
  run: Run,
  { client }: Bench,
  dataId: string,
  channel: string,
  pushed: number,
): Promise<void> {
  const { chunks, point_count } = await read(client, dataId, channel);
  const place = `stream ${dataId}, channel ${channel}`;
  const indexes = new Set(chunks.map(({ chunk_index }) => chunk_index));
  if (indexes.size !== chunks.length) run.blame(place, 'a chunk is answered twice');
  if (point_count !== chunks.length * points) run.blame(place, `${point_count} points in ${chunks.length} chunks`);
  if ([...indexes].some((index) => index >= pushed)) run.blame(place, 'a chunk is there that nobody pushed');
  for (const { chunk_index, timestamps, values } of chunks) {
    const isRight =
      values.length === points &&
      values.every(
        (value, i) => value === chunk_index * 1_000 + i + 0.25 && timestamps[i] === start + chunk_index * 5 + i * 0.5,
      );
    if (!isRight) run.blame(`${place}, chunk ${chunk_index}`, 'another content is answered');
  }
}

/** The short streams: each call, made once, was answered, and made one stream. */
export async function blameLives(run: Run, bench: Bench): Promise<void> {
  const url = bench.cluster.url('superuser');
  for (const sdk of Object.values(bench.lives)) {
    sdk.next();
    const lives = await sdk.told('lives');
    await sleep(2_000);
    sdk.next();
    await sdk.ended();
    run.seen(`streams begun and ended (${sdk.name})`, lives);
    const longest = Math.max(...sdk.said().map(({ seconds = 0 }) => seconds));
    run.measure(`${sdk.name}, longest call`, longest * 1_000, { max: 90_000, unit: 'ms' });
    for (const { call, stream, seconds = 0, error } of sdk.said()) {
      if (error !== undefined) run.blame(`${sdk.name}, ${stream}`, `${call} after ${seconds.toFixed(1)} s: ${error}`);
    }
    const twice = await query(
      url,
      `select stream_name, count(*)::int as streams from streams where stream_name like $1::text group by 1 having count(*) > 1`,
      [`${sdk.name}-%`],
    );
    for (const { stream_name, streams } of twice)
      run.blame(`${sdk.name}, ${stream_name}`, `one initialize made ${streams} streams`);
    await blameCounts(run, sdk, url, lives);
  }
}

async function blameCounts(run: Run, { name }: SdkProcess, url: string, lives: number): Promise<void> {
  const [counts] = await query(
    url,
    `select count(distinct s.data_id)::int as streams, count(finalized_at)::int as finalized, count(c.data_id)::int as fed
     from streams s left join (select distinct data_id from channels where chunk_count > 0) c using (data_id) where stream_name like $1::text`,
    [`${name}-%`],
  );
  const { streams = 0, finalized = 0, fed = 0 } = (counts ?? {}) as Record<string, number>;
  if (streams !== lives || finalized !== lives || fed !== lives) {
    run.blame(name, `of ${lives} streams ${streams} are there, ${fed} hold their chunk, ${finalized} are finalized`);
  }
}
