import { unavailable } from '../errors.ts';
import type { JsonWriter } from '../lib/json-writer.ts';
import type { PointRead } from '../points/points.ts';
import { RememberedTimes } from './remembered-times.ts';

/** The fields that hold the arrays of a channel, each as `fieldBytes` has it, in the order in which they are written. */
export interface ArrayFields {
  values: Buffer;
  /** Of its times: ms since 1970, or seconds since an ms. */
  times: readonly { field: Buffer; sinceMs?: number }[];
}

/**
 * Writes arrays of a channel: of its values, and then of its times. One after the other, so that the channel would
 * have to be held whole or be read again for each. Instead its values go out while they are read, and its times are
 * remembered in one or two bytes each. Only a channel whose times do not fit is read again, times only.
 * Yields pieces of the answer whenever the writer is full.
 */
export async function* writeArrays(
  writer: JsonWriter,
  read: PointRead,
  fields: ArrayFields,
  timesBytesMax: number,
): AsyncGenerator<Buffer, void, void> {
  const remembered = new RememberedTimes(timesBytesMax);
  writer.bytes(fields.values).beginList();
  for await (const { times, values } of read.batches({ withValues: true })) {
    remembered.add(times);
    for (let i = 0; i < values.length; ) {
      i = writer.floats(values, i);
      if (writer.isFull) yield writer.take();
    }
  }
  writer.endList();
  for (const { field, sinceMs } of fields.times) {
    writer.bytes(field).beginList();
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
