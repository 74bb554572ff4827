import { unavailable } from '../errors.ts';
import type { JsonWriter } from '../lib/json-writer.ts';
import { type ChannelPoints, openChannelPoints } from './channel-points.ts';
import type { Gap } from './gaps.ts';
import { Instants } from './instants.ts';
import { boundsFor, type NamedChannel, type Selection, type StreamRead } from './stream-read.ts';

/** Bytes in which the times of one channel are remembered: those of 16 million points or more. */
export const instantsBytesMax = 32 * 1024 * 1024;

/**
 * Writes the object of properties: three arrays for each channel, one after the other, so that a channel would have to
 * be held whole or be read three times. Instead its values go out while they are read, and its times, which both other
 * arrays show, are remembered in one or two bytes each. Only a channel whose times do not fit is read again, times only.
 * Yields pieces of the answer whenever the writer is full.
 * @returns the gaps of each channel, by name
 */
export async function* writeProperties(
  writer: JsonWriter,
  read: StreamRead,
  channels: NamedChannel[],
  selection: Selection,
): AsyncGenerator<Buffer, Map<string, Gap[]>, void> {
  const gaps = new Map<string, Gap[]>();
  writer.raw('{');
  let separator = '';
  for (const channel of channels) {
    writer.raw(separator).value(channel.name).raw(':{');
    separator = ',';
    const zeroMs = read.span?.zeroMs ?? 0;
    const points = await openChannelPoints(read.sourceOf(channel), selection, zeroMs, bounds);
    gaps.set(channel.name, points.gaps);
    yield* writeArrays(writer, points, zeroMs);
    writer.raw(',"units":').value(channel.units).raw('}');
  }
  writer.raw('}');
  return gaps;
}

const bounds = boundsFor(1);

async function* writeArrays(writer: JsonWriter, points: ChannelPoints, zeroMs: number) {
  const instants = new Instants(instantsBytesMax);
  writer.raw('"values":').beginList();
  for await (const { ms, values } of points.read(true)) {
    instants.add(ms);
    for (let i = 0; i < values.length; ) {
      i = writer.floats(values, i);
      if (writer.isFull) yield writer.take();
    }
  }
  writer.endList().raw(',"relative_time_seconds":').beginList();
  for await (const ms of timesOf(instants, points)) {
    for (let i = 0; i < ms.length; ) {
      i = writer.thousandthsSince(zeroMs, ms, i);
      if (writer.isFull) yield writer.take();
    }
  }
  writer.endList().raw(',"unix_timestamp_ms":').beginList();
  for await (const ms of timesOf(instants, points)) {
    for (let i = 0; i < ms.length; ) {
      i = writer.integers(ms, i);
      if (writer.isFull) yield writer.take();
    }
  }
  writer.endList();
}

/** The times of the points that were written. @throws when they have to be read again and have changed since. */
export async function* timesOf(instants: Instants, points: ChannelPoints): AsyncGenerator<Float64Array, void, void> {
  if (instants.isComplete) return yield* instants.batches();
  const again = new Instants(0);
  for await (const { ms } of points.read(false)) {
    again.add(ms);
    yield ms;
  }
  if (!again.equals(instants)) throw unavailable('The channel was changed while it was read; ask again.');
}
