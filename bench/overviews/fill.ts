import { setTimeout as sleep } from 'node:timers/promises';
import { overviewLimits } from '../../src/overviews/limits.ts';
import { fanOut } from '../../src/points/overview.ts';
import { copyChannel } from '../support/copy-channel.ts';
import { runClosedLoop } from '../support/node-load.ts';
import type { Bed } from './bed.ts';

/** A run whose channels all have the same content. */
export interface Run {
  dataId: string;
  points: number;
  pointsPerChunk: number;
  channelNames: string[];
  /** Unix seconds. */
  start: number;
  end: number;
}

interface Size {
  /** For each channel. */
  points: number;
  pointsPerChunk: number;
  channels: number;
}

const start = 1_700_000_000;
const perSecond = 100;
/** No more than the chunks that may be late (`lateChunks`), so that concurrent requests make no chunk later than that. */
const connections = 16;

/**
 * Fills a run. One channel is sent to the server, which makes its overview in the background. For the other channels the
 * database copies its rows, those of the overview too, so that 200 million points take a minute.
 */
export async function fillRun(bed: Bed, { points, pointsPerChunk, channels }: Size): Promise<Run> {
  const { withOverviews, client, say } = bed;
  const headers = { 'X-API-KEY': withOverviews.key, 'Content-Type': 'application/json' };
  const opened = await fetch(`${withOverviews.url}/tool-state/stream/initialize`, {
    ...{ method: 'POST', headers },
    body: JSON.stringify({ points_per_chunk: pointsPerChunk, stream_name: 'bench' }),
  });
  const { data_id: dataId } = (await opened.json()) as { data_id: string };
  const chunks = points / pointsPerChunk;
  const channelNames = Array.from({ length: channels }, (_, i) => `channel-${i}`);
  const begunAt = performance.now();
  await runClosedLoop(
    {
      ...{ url: withOverviews.url, path: '/tool-state/stream/chunk', headers, expectedStatus: 201, connections },
      body: (n) => bodyOf(dataId, n, pointsPerChunk),
    },
    { warmSeconds: 0, seconds: 3_600, requestsMax: chunks },
  );
  const sentAt = performance.now();
  await untilOverviewed(bed, dataId, chunks);
  const madeAt = performance.now();
  await copyChannel(client, dataId, 'channel-0', channelNames.slice(1));
  const seconds = (from: number, to: number) => `${((to - from) / 1_000).toFixed(1)} s`;
  say(
    `${points} points in chunks of ${pointsPerChunk} sent in ${seconds(begunAt, sentAt)}, their overview made ${seconds(sentAt, madeAt)} later, ${channels} channels of them after ${seconds(madeAt, performance.now())}`,
  );
  return { dataId, points, pointsPerChunk, channelNames, start, end: start + points / perSecond };
}

/** Removes all runs of the bed. */
export async function removeRuns({ client }: Bed): Promise<void> {
  await client.query('truncate streams cascade');
  await client.query('truncate chunks');
}

/** The body of a chunk: times of a clock with 1 ms of jitter, and noisy, drifting values with three decimals. */
function bodyOf(dataId: string, index: number, points: number): string {
  const timestamps = new Array<string>(points);
  const values = new Array<string>(points);
  for (let i = 0; i < points; i++) {
    const n = index * points + i;
    timestamps[i] = (start + n / perSecond + (noise(n) * 0.001) / 3).toFixed(7);
    values[i] = (300 + 80 * Math.sin(n / 150_000) + 10 * Math.sin(n / 900) + noise(n + 7)).toFixed(3);
  }
  return `{"data_id":"${dataId}","chunk_index":${index},"channel_name":"channel-0","timestamps":[${timestamps.join(',')}],"values":[${values.join(',')}],"units":"nm"}`;
}

/** Noise from -1 to 1, always the same for the same number. */
function noise(n: number): number {
  const x = Math.sin(n * 12.9898) * 43_758.5453;
  return 2 * (x - Math.floor(x)) - 1;
}

/** The share of blocks that is enough. In operation too, a few blocks may be missing after a fast ingest. */
const wholeEnough = 0.98;

/** Waits until the channel has the blocks that its chunks allow. When many are missing, a read makes the server complete them. */
async function untilOverviewed(bed: Bed, dataId: string, chunks: number): Promise<void> {
  const allowed = blocksOf(chunks);
  for (let attempt = 0; ; attempt++) {
    const made = await untilNoMoreBlocks(bed, dataId, allowed);
    if (made < allowed) bed.say(`  ${allowed - made} of ${allowed} blocks are missing`);
    if (made >= allowed * wholeEnough) return;
    if (attempt === 3) throw new Error('the overview is not made whole');
    await bed.client.query('delete from overviews where data_id = $1::uuid', [dataId]);
    const { url, key } = bed.withOverviews;
    await fetch(`${url}/tool-state/${dataId}/statistics/`, { headers: { 'X-API-KEY': key } });
  }
}

/** Waits until no block has been added for a while. @returns how many there are */
async function untilNoMoreBlocks({ client, settled }: Bed, dataId: string, allowed: number): Promise<number> {
  const quietMs = 4_000;
  await settled();
  for (let blocks = -1, changedAt = performance.now(); ; await sleep(200)) {
    const { rows } = await client.query('select count(*)::integer as blocks from overviews where data_id = $1::uuid', [
      dataId,
    ]);
    if (rows[0].blocks !== blocks) changedAt = performance.now();
    blocks = rows[0].blocks;
    if (blocks >= allowed || performance.now() - changedAt > quietMs) return blocks;
  }
}

/** How many blocks of all levels the server makes. A block is made only after `lateChunks` more chunks have come. */
function blocksOf(chunks: number): number {
  let blocks = 0;
  const ofChunks = Math.floor((chunks - 1 - overviewLimits.lateChunks) / fanOut);
  for (let below = ofChunks; below > 0; below = Math.floor(below / fanOut)) blocks += below;
  return blocks;
}
