import type { Batches, ChannelsPoints, Points } from './points.ts';

/**
 * Merges the points of several channels into one order, so that the points of one time stand together as a row.
 * A row looks at every channel: with the few hundred that an instrument has, that is cheaper than a heap.
 * @param readers each in order of time
 * @param pointsMax points of a batch; a row of more is a batch of its own
 */
export async function* mergeChannels(readers: readonly Batches[], pointsMax: number): Batches<ChannelsPoints> {
  const lanes = createLanes(readers.length);
  const merged = createMerged(Math.max(pointsMax, readers.length));
  try {
    for (;;) {
      await refill(lanes, readers);
      let time = earliest(lanes.fronts);
      while (lanes.used.length === 0 && time !== Number.POSITIVE_INFINITY) {
        if (merged.length + readers.length > merged.times.length) yield take(merged);
        time = addRow(merged, lanes, time);
      }
      if (lanes.used.length === 0) break;
    }
    if (merged.length > 0) yield take(merged);
  } finally {
    for (const reader of readers) await reader.return();
  }
}

/** The channels side by side, each at its next point. */
interface Lanes {
  /** The time of each channel's next point, infinite at its end. */
  fronts: Float64Array;
  batches: Points[];
  at: Uint32Array;
  /** Channels whose batch has been used up. */
  used: number[];
}

const nothing: Points = { times: new Float64Array(0), values: new Float64Array(0) };

function createLanes(count: number): Lanes {
  return {
    fronts: new Float64Array(count),
    batches: new Array<Points>(count).fill(nothing),
    at: new Uint32Array(count),
    used: Array.from({ length: count }, (_, lane) => lane),
  };
}

async function refill(lanes: Lanes, readers: readonly Batches[]): Promise<void> {
  for (const lane of lanes.used) {
    const { value: batch = nothing } = await (readers[lane] as Batches).next();
    lanes.batches[lane] = batch;
    lanes.fronts[lane] = batch.times[0] ?? Number.POSITIVE_INFINITY;
    lanes.at[lane] = 0;
  }
  lanes.used = [];
}

function earliest(fronts: Float64Array): number {
  let time = Number.POSITIVE_INFINITY;
  for (let lane = 0; lane < fronts.length; lane++) {
    const front = fronts[lane] as number;
    if (front < time) time = front;
  }
  return time;
}

interface Merged extends ChannelsPoints {
  length: number;
}

const createMerged = (room: number): Merged => ({
  times: new Float64Array(room),
  values: new Float64Array(room),
  channels: new Uint32Array(room),
  length: 0,
});

function take(merged: Merged): ChannelsPoints {
  const { times, values, channels, length } = merged;
  merged.length = 0;
  return {
    times: times.subarray(0, length),
    values: values.subarray(0, length),
    channels: channels.subarray(0, length),
  };
}

/** Adds the points of one time. @returns the time of the next row, as far as batches that are used up do not hide it */
function addRow(merged: Merged, lanes: Lanes, time: number): number {
  const { fronts, batches, at, used } = lanes;
  const { times, values, channels } = merged;
  let { length } = merged;
  let next = Number.POSITIVE_INFINITY;
  for (let lane = 0; lane < fronts.length; lane++) {
    let front = fronts[lane] as number;
    if (front === time) {
      const batch = batches[lane] as Points;
      const position = at[lane] as number;
      times[length] = time;
      channels[length] = lane;
      values[length++] = batch.values[position] as number;
      at[lane] = position + 1;
      if (position + 1 === batch.times.length) {
        used.push(lane);
        continue;
      }
      front = batch.times[position + 1] as number;
      fronts[lane] = front;
    }
    if (front < next) next = front;
  }
  merged.length = length;
  return next;
}
