import { unavailable } from '../errors.ts';
import type { JsonWriter } from '../lib/json-writer.ts';
import { Instants } from './instants.ts';
import { type PointSource, readPoints } from './point-reader.ts';
import { boundsFor, type NamedChannel, type Selection, type StreamRead } from './stream-read.ts';
import { type Window, windowOf } from './window.ts';

/** Bytes in which the times of one channel are remembered: those of 16 million points or more. */
export const instantsBytesMax = 32 * 1024 * 1024;

/**
 * Writes the object of properties: three arrays for each channel, one after the other, so that a channel would have to
 * be held whole or be read three times. Instead its values go out while they are read, and its times, which both other
 * arrays show, are remembered in one or two bytes each. Only a channel whose times do not fit is read again, times only.
 * Yields pieces of the answer whenever the writer is full.
 */
export async function* writeProperties(
  writer: JsonWriter,
  read: StreamRead,
  channels: NamedChannel[],
  selection: Selection,
): AsyncGenerator<Buffer, void, void> {
  writer.raw('{');
  let separator = '';
  for (const channel of channels) {
    writer.raw(separator).value(channel.name).raw(':{');
    separator = ',';
    const source = await read.sourceOf(channel);
    const zeroMs = read.span?.zeroMs ?? 0;
    const window = await windowOf(source, selection, zeroMs, bounds);
    yield* writeArrays(writer, source, window, zeroMs);
    writer.raw(',"units":').value(channel.units).raw('}');
  }
  writer.raw('}');
}

const bounds = boundsFor(1);

async function* writeArrays(writer: JsonWriter, source: PointSource, window: Window, zeroMs: number) {
  const instants = new Instants(instantsBytesMax);
  writer.raw('"values":').beginList();
  for await (const { ms, values } of readPoints(source, { ...window, withValues: true }, bounds)) {
    instants.add(ms);
    for (let i = 0; i < values.length; ) {
      i = writer.floats(values, i);
      if (writer.isFull) yield writer.take();
    }
  }
  writer.endList().raw(',"relative_time_seconds":').beginList();
  for await (const ms of timesOf(instants, source, window)) {
    for (let i = 0; i < ms.length; ) {
      i = writer.thousandthsSince(zeroMs, ms, i);
      if (writer.isFull) yield writer.take();
    }
  }
  writer.endList().raw(',"unix_timestamp_ms":').beginList();
  for await (const ms of timesOf(instants, source, window)) {
    for (let i = 0; i < ms.length; ) {
      i = writer.integers(ms, i);
      if (writer.isFull) yield writer.take();
    }
  }
  writer.endList();
}

/** The times of the points that were written. @throws when they have to be read again and have changed since. */
export async function* timesOf(
  instants: Instants,
  source: PointSource,
  window: Window,
): AsyncGenerator<Float64Array, void, void> {
  if (instants.isComplete) return yield* instants.batches();
  const again = new Instants(0);
  for await (const { ms } of readPoints(source, { ...window, withValues: false }, bounds)) {
    again.add(ms);
    yield ms;
  }
  if (!again.equals(instants)) throw unavailable('The channel was changed while it was read; ask again.');
}
