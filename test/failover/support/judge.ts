import { setTimeout as sleep } from 'node:timers/promises';
import type { Run } from '../../faults/support/run.ts';
import type { Bench } from './bench.ts';
import { query } from './cluster.ts';
import type { Said, SdkProcess } from './sdk.ts';

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

/** The short streams: each call, made once, was answered, and made one stream, which holds its chunk and is finalized. */
export async function blameLives(run: Run, bench: Bench): Promise<void> {
  for (const sdk of Object.values(bench.lives)) {
    sdk.next();
    const lives = await sdk.told('lives');
    // Its last pushes are awaited by nobody.
    await sleep(3_000);
    sdk.next();
    await sdk.ended();
    run.seen(`streams begun and ended (${sdk.name})`, lives);
    const calls = sdk.said().filter(({ call }) => call !== undefined);
    run.measure(`${sdk.name}, longest call`, 1_000 * Math.max(...calls.map(({ seconds = 0 }) => seconds)), {
      max: 95_000,
      unit: 'ms',
    });
    for (const { call, stream, seconds = 0, error, at = 0 } of calls) {
      if (error === undefined) continue;
      if (isExcused(bench, at, seconds)) run.seen(`calls cut (${sdk.name})`);
      else run.blame(`${sdk.name}, ${stream}`, `${call} after ${seconds.toFixed(1)} s: ${error}`);
    }
    await blameStanding(run, bench, sdk, calls);
  }
}

/** Whether a call, or a push that followed it, met what nobody could have answered. Times are in seconds. */
function isExcused({ excused }: Bench, at: number, seconds: number): boolean {
  const [begin, end] = [at * 1_000, (at + seconds) * 1_000];
  return excused.some(([from, to]) => begin <= to && end >= from - 1_000);
}

async function blameStanding(run: Run, bench: Bench, sdk: SdkProcess, calls: readonly Said[]): Promise<void> {
  const rows = await query(
    bench.cluster.url('superuser'),
    `select stream_name as name, finalized_at is not null as is_finalized,
            exists (select from channels c where c.data_id = s.data_id and chunk_count > 0) as is_fed
     from streams s where stream_name like $1::text`,
    [`${sdk.name}-%`],
  );
  const standing = new Map<string, typeof rows>();
  for (const row of rows) standing.set(String(row.name), [...(standing.get(String(row.name)) ?? []), row]);
  for (const [name, all] of standing) {
    if (all.length > 1) run.blame(`${sdk.name}, ${name}`, `one initialize made ${all.length} streams`);
  }
  for (const { stream = '', at = 0, seconds = 0 } of calls.filter(({ call, error }) => call === 'finalize' && !error)) {
    const [row] = standing.get(stream) ?? [];
    if (row?.is_finalized !== true) run.blame(`${sdk.name}, ${stream}`, 'it was finalized, and is not');
    // An old release sends its chunk once, just before it finalizes.
    if (row?.is_fed !== true && !(sdk === bench.lives.old && isExcused(bench, at - 1, seconds + 31))) {
      run.blame(`${sdk.name}, ${stream}`, 'its chunk is missing');
    }
  }
}
