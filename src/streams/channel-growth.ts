import { textArray } from '../database/array-literal.ts';
import { bigintArray, uuidArray } from '../database/binary-array.ts';
import { encodeFloat8Array } from '../database/float8-array.ts';
import type { KnownRow } from './ingest-rows.ts';

/** The `set` list of `update channels c`, from the growth `g` of each channel. */
export const addGrowth = (moment = 'clock_timestamp()') => `
  chunk_count = c.chunk_count + g.chunks,
  point_count = c.point_count + g.points,
  null_count = c.null_count + g.nulls,
  time_min = least(c.time_min, g.time_min),
  time_max = greatest(c.time_max, g.time_max),
  chunk_seconds_max = greatest(c.chunk_seconds_max, g.seconds_max),
  units = case when g.units_chunk_index >= coalesce(c.units_chunk_index, -1) then g.units else c.units end,
  units_chunk_index = greatest(c.units_chunk_index, g.units_chunk_index),
  changed_at = ${moment}`;

/** The place (ctid) of a channel's row. The channel is locked, so only this statement itself can move its row. */
export const channelOfGrowth = 'select ctid from channels where channel_id = g.channel_id limit 1';

/** What a channel grows by. */
export interface Growth {
  row: KnownRow;
  chunks: number;
  points: number;
  nulls: number;
  timeMin: number | null;
  timeMax: number | null;
  secondsMax: number | null;
  /** Of the highest chunk that has a unit. */
  units: string | null;
  unitsChunkIndex: number | null;
}

/** @param rows sorted by channel. @returns also the place of each row's channel in `channels`, counted from 1 */
export function growthOf(rows: readonly KnownRow[]): { channels: Growth[]; places: number[] } {
  const channels: Growth[] = [];
  const places = rows.map((row) => {
    let growth = channels.at(-1);
    if (growth === undefined || !isSameChannel(growth.row, row)) {
      growth = { row, ...{ chunks: 0, points: 0, nulls: 0, units: null, unitsChunkIndex: null }, ...noSpan };
      channels.push(growth);
    }
    add(growth, row);
    return channels.length;
  });
  return { channels, places };
}

const noSpan = { timeMin: null, timeMax: null, secondsMax: null };

// Not by the id alone: two channels can have one id if one is remembered from a database that has since been replaced.
const isSameChannel = (one: KnownRow, other: KnownRow) =>
  one.channelId === other.channelId &&
  one.channelName === other.channelName &&
  one.item.dataId === other.item.dataId &&
  one.item.organizationId === other.item.organizationId;

function add(growth: Growth, { image, item }: KnownRow): void {
  growth.chunks++;
  growth.points += image.pointCount;
  growth.nulls += image.nullCount;
  if (image.timeMin !== null && image.timeMax !== null) {
    growth.timeMin = Math.min(growth.timeMin ?? image.timeMin, image.timeMin);
    growth.timeMax = Math.max(growth.timeMax ?? image.timeMax, image.timeMax);
    growth.secondsMax = Math.max(growth.secondsMax ?? 0, image.timeMax - image.timeMin);
  }
  if (image.units !== null && item.chunkIndex > (growth.unitsChunkIndex ?? -1)) {
    growth.units = image.units;
    growth.unitsChunkIndex = item.chunkIndex;
  }
}

/** The parameters of a statement that grows channels, each an array. */
export const channelParameters = [
  { name: 'channel_id', type: 'bigint', of: (all: Growth[]) => bigintArray(all.map(({ row }) => row.channelId)) },
  {
    name: 'organization_id',
    type: 'uuid',
    of: (all: Growth[]) => uuidArray(all.map(({ row }) => row.item.organizationId)),
  },
  { name: 'data_id', type: 'uuid', of: (all: Growth[]) => uuidArray(all.map(({ row }) => row.item.dataId)) },
  { name: 'channel_name', type: 'text', of: (all: Growth[]) => textArray(all.map(({ row }) => row.channelName)) },
  { name: 'chunks', type: 'bigint', of: (all: Growth[]) => bigintArray(all.map(({ chunks }) => chunks)) },
  { name: 'points', type: 'bigint', of: (all: Growth[]) => bigintArray(all.map(({ points }) => points)) },
  { name: 'nulls', type: 'bigint', of: (all: Growth[]) => bigintArray(all.map(({ nulls }) => nulls)) },
  { name: 'time_min', type: 'float8', of: (all: Growth[]) => encodeFloat8Array(all.map(({ timeMin }) => timeMin)) },
  { name: 'time_max', type: 'float8', of: (all: Growth[]) => encodeFloat8Array(all.map(({ timeMax }) => timeMax)) },
  {
    name: 'seconds_max',
    type: 'float8',
    of: (all: Growth[]) => encodeFloat8Array(all.map(({ secondsMax }) => secondsMax)),
  },
  { name: 'units', type: 'text', of: (all: Growth[]) => textArray(all.map(({ units }) => units)) },
  {
    name: 'units_chunk_index',
    type: 'float8',
    of: (all: Growth[]) => encodeFloat8Array(all.map(({ unitsChunkIndex }) => unitsChunkIndex)),
  },
];
