import { createLaneOrder, type LaneOrder } from './lane-order.ts';
import type { Batches, ChannelsPoints, Points } from './points.ts';

/**
 * Merges the points of several channels into one order of time, so that the points of one time stand together as a row. The
 * cost of a row depends on its points, and hardly on the channels that have no point in it.
 * @param readers each in order of time
 * @param pointsMax points of a batch; a longer row is a batch of its own
 * @param rest is awaited between two batches
 */
export async function* mergeChannels(
  readers: readonly Batches[],
  pointsMax: number,
  rest: () => Promise<void> = async () => {},
): Batches<ChannelsPoints> {
  const lanes = createLanes(readers.length);
  const merged = createMerged(Math.max(pointsMax, readers.length));
  try {
    for (;;) {
      await refill(lanes, readers, rest);
      while (lanes.used.length === 0 && lanes.order.earliest() !== Number.POSITIVE_INFINITY) {
        if (merged.length + readers.length > merged.times.length) {
          yield take(merged);
          await rest();
        }
        addRow(merged, lanes);
      }
      if (lanes.used.length === 0) break;
    }
    if (merged.length > 0) yield take(merged);
  } finally {
    for (const reader of readers) await reader.return();
  }
}

/** The channels side by side, and the position of each in its batch. */
interface Lanes {
  /** Orders the channels by the time of their next point, which is infinite at the end of a channel. */
  order: LaneOrder;
  batches: Points[];
  at: Uint32Array;
  /** Channels whose batch has been used up. Their fronts are unknown until the next batch. */
  used: number[];
}

const nothing: Points = { times: new Float64Array(0), values: new Float64Array(0) };

function createLanes(count: number): Lanes {
  return {
    order: createLaneOrder(count),
    batches: new Array<Points>(count).fill(nothing),
    at: new Uint32Array(count),
    used: Array.from({ length: count }, (_, lane) => lane),
  };
}

async function refill(lanes: Lanes, readers: readonly Batches[], rest: () => Promise<void>): Promise<void> {
  const { order, used } = lanes;
  for (const lane of used) {
    const { value: batch = nothing } = await (readers[lane] as Batches).next();
    lanes.batches[lane] = batch;
    order.fronts[lane] = batch.times[0] ?? Number.POSITIVE_INFINITY;
    lanes.at[lane] = 0;
    await rest();
  }
  if (used.length > 0) order.putBack();
  lanes.used = [];
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

/** Adds the points of the earliest time. */
function addRow(merged: Merged, { order, batches, at, used }: Lanes): void {
  const { fronts, row } = order;
  const { times, values, channels } = merged;
  const count = order.takeEarliest();
  const time = fronts[row[0] as number] as number;
  let { length } = merged;
  for (let i = 0; i < count; i++) {
    const lane = row[i] as number;
    const batch = batches[lane] as Points;
    const position = at[lane] as number;
    times[length] = time;
    channels[length] = lane;
    values[length++] = batch.values[position] as number;
    at[lane] = position + 1;
    if (position + 1 === batch.times.length) used.push(lane);
    else fronts[lane] = batch.times[position + 1] as number;
  }
  merged.length = length;
  // A channel whose batch is used up has no front until the next batch has come.
  if (used.length === 0) order.putBack();
}
