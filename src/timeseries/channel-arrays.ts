import { unavailable } from '../errors.ts';
import type { JsonWriter } from '../lib/json-writer.ts';
import type { PointRead } from '../points/points.ts';
import { RememberedTimes } from './remembered-times.ts';

/** An array of the times of a channel: ms since 1970, or seconds since an ms. */
export interface TimeArray {
  name: string;
  sinceMs?: number;
}

/**
 * Writes the fields of a channel: `values`, and then its time arrays, one after the other. So the channel would have to be
 * held in memory, or read once for each array. Instead its values go out while they are read, and its times are remembered
 * in one or two bytes each. Only a channel whose times do not fit is read again, without values. Yields a piece of the
 * answer whenever the writer is full.
 */
export async function* writeArrays(
  writer: JsonWriter,
  read: PointRead,
  timeArrays: readonly TimeArray[],
  timesBytesMax: number,
): AsyncGenerator<Buffer, void, void> {
  const remembered = new RememberedTimes(timesBytesMax);
  writer.raw('"values":').beginList();
  for await (const { times, values } of read.batches({ withValues: true })) {
    remembered.add(times);
    for (let i = 0; i < values.length; ) {
      i = writer.floats(values, i);
      if (writer.isFull) yield writer.take();
    }
  }
  writer.endList();
  for (const { name, sinceMs } of timeArrays) {
    writer.raw(`,"${name}":`).beginList();
    for await (const times of timesOf(remembered, read)) {
      for (let i = 0; i < times.length; ) {
        i = sinceMs === undefined ? writer.integers(times, i) : writer.thousandthsSince(sinceMs, times, i);
        if (writer.isFull) yield writer.take();
      }
    }
    writer.endList();
  }
}

/**
 * The times of the points that were written.
 * @throws ApiError 503 when they have to be read again and have changed since
 */
async function* timesOf(remembered: RememberedTimes, read: PointRead): AsyncGenerator<Float64Array, void, void> {
  if (remembered.isComplete) return yield* remembered.batches();
  const again = new RememberedTimes(0);
  for await (const { times } of read.batches({ withValues: false })) {
    again.add(times);
    yield times;
  }
  if (!again.equals(remembered)) throw unavailable('The channel was changed while it was read; ask again.');
}
