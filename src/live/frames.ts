import type { Micros, RunStatus } from './run-facts.ts';
import type { Span } from './span.ts';
import type { RunCounts, StoredChannel } from './store.ts';

/*
 * Events in the format text/event-stream. An event is made once for all followers of a run. JSON that contains readings is
 * written by hand, because JSON.stringify drops the sign of -0.
 */

/** The status of a run as clients get it. `deleted` also stands for a run that does not exist. */
export type ToldStatus = RunStatus | 'deleted';

export interface ToldChannel {
  channel: StoredChannel;
  /** The changed span of time; null where no point with a time has changed. */
  span: Span | null;
}

export const heartbeat = Buffer.from(': heartbeat\n\n');

/** Tells the client how long to wait before it connects again. */
export const retryFrame = (ms: number) => Buffer.from(`retry: ${ms}\n\n`);

/** The event with the changed channels of a run, and its status. */
export function channelsFrame(dataId: string, status: RunStatus, channels: ToldChannel[], cursor: Micros): Buffer {
  const list = channels.map(channelJson).join(',');
  return frame('channels', cursor, `{"data_id":"${dataId}","channels":[${list}],"status":"${status}"}`);
}

export const statusFrame = (dataId: string, status: ToldStatus, cursor?: Micros) =>
  frame('status', cursor, JSON.stringify({ data_id: dataId, status }));

export interface RunSummary extends RunCounts {
  status: ToldStatus;
}

/** The event for a changed run of the list. */
export const runFrame = (run: RunSummary, cursor: Micros) =>
  frame(
    'run',
    cursor,
    JSON.stringify({
      data_id: run.dataId,
      point_count: run.pointCount,
      last_chunk_at: run.lastChunkAt === null ? null : isoMicros(run.lastChunkAt),
      status: run.status,
      missing_chunk_count: run.missingChunkCount,
    }),
  );

/** The answer of `/latest`. */
export function latestJson(dataId: string, status: RunStatus, channels: readonly StoredChannel[]): Buffer {
  const list = channels.map(
    (one) =>
      `{"channel_name":${JSON.stringify(one.channelName)},"units":${JSON.stringify(one.units)},` +
      `"timestamp":${json(one.timeMax)},"value":${json(one.latestValue)},"chunk_index":${one.latestChunkIndex},` +
      `"point_count":${one.pointCount},"chunk_count":${one.chunkCount},"changed_at":"${isoMicros(one.changedAt)}"}`,
  );
  return Buffer.from(`{"data_id":"${dataId}","status":"${status}","channels":[${list.join(',')}]}`);
}

/** JSON text has no line breaks, so one `data:` line holds it. */
const frame = (event: string, id: Micros | undefined, data: string) =>
  Buffer.from(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`);

function channelJson({ channel, span }: ToldChannel): string {
  const { timeMax, latestValue } = channel;
  const latest = timeMax === null ? 'null' : `{"timestamp":${json(timeMax)},"value":${json(latestValue)}}`;
  return (
    `{"channel_name":${JSON.stringify(channel.channelName)},"units":${JSON.stringify(channel.units)},` +
    `"chunk_count":${channel.chunkCount},"point_count":${channel.pointCount},` +
    `"last_chunk_index":${channel.lastChunkIndex},"changed_at":"${isoMicros(channel.changedAt)}",` +
    `"span":${span === null ? 'null' : `[${span[0]},${span[1]}]`},"latest":${latest}}`
  );
}

const json = (value: number | null) => (Object.is(value, -0) ? '-0.0' : String(value));

function isoMicros(at: Micros): string {
  const ms = Math.floor(at / 1_000);
  return new Date(ms).toISOString().replace('Z', `${String(at - ms * 1_000).padStart(3, '0')}Z`);
}
