import { JsonWriter, type Pieces, pieceBytes } from '../lib/json-writer.ts';
import type { Gap } from '../points/points.ts';
import { openChannel } from '../points/read.ts';
import { byMs } from '../points/selection.ts';
import { writeArrays } from './channel-arrays.ts';
import { writeRows } from './rows.ts';
import type { TimeseriesSelection } from './selection.ts';
import { type NamedChannel, type StreamRead, selectChannels, zeroMsOf } from './stream-read.ts';

/** The answer by property, and with `withSeries` by row as well; `namesOnly` leaves the data out. */
export async function* timeseriesAnswer(
  read: StreamRead,
  selection: TimeseriesSelection,
  { withSeries, namesOnly }: { withSeries: boolean; namesOnly: boolean },
): Pieces {
  const writer = new JsonWriter(pieceBytes);
  const channels = namesOnly ? [] : selectChannels(read, selection);
  writeHead(writer, read);
  writer.raw(',"properties":');
  const gaps = yield* writeProperties(writer, read, channels, selection);
  if (withSeries) {
    writer.raw(',"series":');
    yield* writeRows(writer, read, channels, selection);
  }
  if (selection.max_points !== undefined) yield* writeGaps(writer.raw(',"gaps":'), gaps);
  yield writer.raw('}').take();
}

/** The rows in the shape of the RHEED endpoint, which the SDK's polling asks for whatever the stream is: one block. */
export async function* rheedAnswer(read: StreamRead, selection: TimeseriesSelection): Pieces {
  const writer = new JsonWriter(pieceBytes);
  const channels = selectChannels(read, selection);
  writer.raw('{"series_by_angle":[');
  if (channels.length > 0) {
    writer.raw('{"angle":0,"series":');
    yield* writeRows(writer, read, channels, selection, selection.last_n);
    writer.raw('}');
  }
  yield writer.raw(']}').take();
}

/** Writes the object of properties, three arrays for each channel. @returns the gaps of each channel, by name */
async function* writeProperties(
  writer: JsonWriter,
  read: StreamRead,
  channels: NamedChannel[],
  selection: TimeseriesSelection,
): AsyncGenerator<Buffer, Map<string, Gap[]>, void> {
  const gaps = new Map<string, Gap[]>();
  const zeroMs = zeroMsOf(read);
  const timeArrays = [{ name: 'relative_time_seconds', sinceMs: zeroMs }, { name: 'unix_timestamp_ms' }];
  writer.raw('{');
  let separator = '';
  for (const channel of channels) {
    writer.raw(separator).value(channel.name).raw(':{');
    separator = ',';
    const points = await openChannel(read.means, channel, { selection, zeroMs, collapse: byMs });
    gaps.set(channel.name, points.gaps);
    yield* writeArrays(writer, points, timeArrays, read.timesBytesMax);
    writer.raw(',"units":').value(channel.units).raw('}');
  }
  writer.raw('}');
  return gaps;
}

function* writeGaps(writer: JsonWriter, gaps: Map<string, Gap[]>): Generator<Buffer, void, void> {
  writer.raw('{');
  let separator = '';
  for (const [name, list] of gaps) {
    writer.raw(separator).value(name).raw(':[');
    separator = ',';
    for (const [i, { fromChunk, toChunk, endMs, beginMs }] of list.entries()) {
      writer.raw(i === 0 ? '' : ',').value({
        from_chunk: fromChunk,
        to_chunk: toChunk,
        data_ends_unix_timestamp_ms: endMs,
        data_begins_unix_timestamp_ms: beginMs,
      });
      if (writer.isFull) yield writer.take();
    }
    writer.raw(']');
  }
  writer.raw('}');
}

/** What is known of the stream without reading a chunk. */
function writeHead(writer: JsonWriter, { dataId, channels, span }: StreamRead): void {
  writer.raw('{"data_id":').value(dataId).raw(',"series_max_time":');
  if (span === null) writer.raw('null');
  else writer.thousandths(span.endMs - span.zeroMs);
  writer.raw(',"property_units":{');
  channels.forEach(({ name, units }, i) => {
    writer
      .raw(i === 0 ? '' : ',')
      .value(name)
      .raw(':')
      .value(units);
  });
  writer.raw('},"available_property_names":').value(channels.map(({ name }) => name));
}
