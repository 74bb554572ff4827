import type { Static } from '@sinclair/typebox';
import { fieldTexts } from '../lib/json-fields.ts';
import type { EventStatus, Micros, RunStatus } from './run-facts.ts';
import { ChannelsEvent, LatestAnswer, type RunEvent, type StatusEvent } from './schemas.ts';
import type { Span } from './span.ts';
import type { RunCounts, StoredChannel } from './store.ts';

/*
 * Events in the format text/event-stream. An event is made once for all followers of a run. JSON that contains readings is
 * written by hand, because JSON.stringify drops the sign of -0.
 */

export interface ChannelChange {
  channel: StoredChannel;
  /** The changed span of time; null where no point with a time has changed. */
  span: Span | null;
}

const ofEvent = fieldTexts(ChannelsEvent);
const ofChanged = fieldTexts(ChannelsEvent.properties.channels.items);
const [LatestPoint] = ChannelsEvent.properties.channels.items.properties.latest.anyOf;
const ofLatest = fieldTexts(LatestPoint);
const ofAnswer = fieldTexts(LatestAnswer);
const ofNewest = fieldTexts(LatestAnswer.properties.channels.items);

export const heartbeat = Buffer.from(': heartbeat\n\n');

/** Tells the client how long to wait before it connects again. */
export const retryFrame = (ms: number) => Buffer.from(`retry: ${ms}\n\n`);

/** The event with the changed channels of a run, and its status. */
export function channelsFrame(dataId: string, status: RunStatus, channels: ChannelChange[], cursor: Micros): Buffer {
  const list = channels.map(channelJson).join(',');
  const parts = [ofEvent.data_id, json(dataId), ofEvent.channels, `[${list}]`, ofEvent.status, json(status), '}'];
  return frame('channels', cursor, parts.join(''));
}

export function statusFrame(dataId: string, status: EventStatus, cursor?: Micros): Buffer {
  const event: Static<typeof StatusEvent> = { data_id: dataId, status };
  return frame('status', cursor, JSON.stringify(event));
}

export interface RunSummary extends RunCounts {
  status: EventStatus;
}

/** The event for a changed run of the list. */
export function runFrame(run: RunSummary, cursor: Micros): Buffer {
  const event: Static<typeof RunEvent> = {
    data_id: run.dataId,
    point_count: run.pointCount,
    last_chunk_at: run.lastChunkAt === null ? null : isoMicros(run.lastChunkAt),
    status: run.status,
    missing_chunk_count: run.missingChunkCount,
    seconds: run.seconds,
  };
  return frame('run', cursor, JSON.stringify(event));
}

/** The answer of `/latest`. */
export function latestJson(dataId: string, status: RunStatus, channels: readonly StoredChannel[]): Buffer {
  const list = channels.map((one) => {
    const names = [ofNewest.channel_name, json(one.channelName), ofNewest.units, json(one.units)];
    const point = [ofNewest.timestamp, json(one.timeMax), ofNewest.value, json(one.latestValue)];
    const counts = [ofNewest.chunk_index, json(one.latestChunkIndex), ofNewest.point_count, one.pointCount];
    const rest = [ofNewest.chunk_count, one.chunkCount, ofNewest.changed_at, json(isoMicros(one.changedAt))];
    return `${[...names, ...point, ...counts, ...rest].join('')}}`;
  });
  const head = [ofAnswer.data_id, json(dataId), ofAnswer.status, json(status)];
  return Buffer.from(`${head.join('')}${ofAnswer.channels}[${list.join(',')}]}`);
}

/** JSON text has no line breaks, so one `data:` line holds it. */
const frame = (event: string, id: Micros | undefined, data: string) =>
  Buffer.from(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`);

function channelJson({ channel, span }: ChannelChange): string {
  const { timeMax, latestValue } = channel;
  const point = [ofLatest.timestamp, json(timeMax), ofLatest.value, json(latestValue), '}'];
  const names = [ofChanged.channel_name, json(channel.channelName), ofChanged.units, json(channel.units)];
  const counts = [ofChanged.chunk_count, channel.chunkCount, ofChanged.point_count, channel.pointCount];
  const last = [ofChanged.last_chunk_index, channel.lastChunkIndex];
  const times = [ofChanged.changed_at, json(isoMicros(channel.changedAt)), ofChanged.span, JSON.stringify(span)];
  const latest = timeMax === null ? 'null' : point.join('');
  return `${[...names, ...counts, ...last, ...times, ofChanged.latest].join('')}${latest}}`;
}

const json = (value: number | string | null) => (Object.is(value, -0) ? '-0.0' : JSON.stringify(value));

function isoMicros(at: Micros): string {
  const ms = Math.floor(at / 1_000);
  return new Date(ms).toISOString().replace('Z', `${String(at - ms * 1_000).padStart(3, '0')}Z`);
}
