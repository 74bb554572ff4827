import type { Static } from '@sinclair/typebox';
import { fieldBytes } from '../lib/json-fields.ts';
import { JsonWriter, type Pieces, pieceBytes } from '../lib/json-writer.ts';
import type { OpenRead, PointRead } from '../points/points.ts';
import { openChannels, openInTurn } from '../points/read.ts';
import { byMs, type Wanted } from '../points/selection.ts';
import { writeArrays } from './channel-arrays.ts';
import { writeJsonRows } from './json-rows.ts';
import { PropertyArrays, type PropertyGap, RheedAnswer, TimeseriesAndRows } from './schemas.ts';
import { type NamedChannel, type StreamRead, selectChannels, zeroMsOf } from './stream-read.ts';
import type { TimeseriesSelection } from './timeseries-selection.ts';

const fields = fieldBytes(TimeseriesAndRows);
const property = fieldBytes(PropertyArrays);
const rheed = fieldBytes(RheedAnswer);
const block = fieldBytes(RheedAnswer.properties.series_by_angle.items);

/** The answer by property; `withSeries` adds the rows; `namesOnly` leaves the data out. */
export async function* timeseriesAnswer(
  read: StreamRead,
  selection: TimeseriesSelection,
  { withSeries, namesOnly }: { withSeries: boolean; namesOnly: boolean },
): Pieces {
  const writer = new JsonWriter(pieceBytes);
  const channels = namesOnly ? [] : selectChannels(read, selection);
  const wanted = wantedOf(read, selection);
  // Opened before the first byte, so that rows that would be too wide are refused with 422.
  const rows = withSeries ? await openChannels(read.deps, channels, wanted) : undefined;
  const inTurn = openInTurn(read.deps, channels, wanted);
  try {
    writeHead(writer, read);
    writer.bytes(fields.properties);
    const open = (i: number) => (rows === undefined ? inTurn.open(i) : asOpen(rows.each[i] as PointRead));
    const notes = yield* writeProperties(writer, read, channels, open);
    if (rows !== undefined) yield* writeJsonRows(writer.bytes(fields.series), rows, channels, wanted.zeroMs);
    if (selection.max_points !== undefined) {
      yield* writeGaps(writer.bytes(fields.gaps), notes);
      yield* writeDownSampled(writer.bytes(fields.down_sampled), notes);
    }
    if (selection.carry_in === true) writeCarriedIn(writer.bytes(fields.carried_in), notes);
    yield writer.raw('}').take();
  } finally {
    rows?.close();
    await inTurn.close();
  }
}

/**
 * The rows in the shape of the RHEED endpoint: one block. The SDK's polling asks for this shape for every kind of stream.
 */
export async function* rheedAnswer(read: StreamRead, selection: TimeseriesSelection): Pieces {
  const writer = new JsonWriter(pieceBytes);
  const channels = selectChannels(read, selection);
  writer.bytes(rheed.series_by_angle).raw('[');
  if (channels.length > 0) {
    const wanted = wantedOf(read, selection);
    const rows = await openChannels(read.deps, channels, wanted);
    try {
      writer.bytes(block.angle).raw('0').bytes(block.series);
      yield* writeJsonRows(writer, rows, channels, wanted.zeroMs, selection.last_n);
      writer.raw('}');
    } finally {
      rows.close();
    }
  }
  yield writer.raw(']}').take();
}

/** A read that the caller closes in another place. */
const asOpen = (read: PointRead): OpenRead => ({ ...read, close: () => {} });

const wantedOf = (read: StreamRead, selection: TimeseriesSelection): Wanted => ({
  selection,
  zeroMs: zeroMsOf(read),
  collapse: byMs,
});

/** What an answer says about each property besides its points, by name. */
type PropertyNotes = Map<string, Pick<PointRead, 'gaps' | 'carriedTime' | 'isDownSampled'>>;

/** Writes the object of properties, three arrays for each channel. */
async function* writeProperties(
  writer: JsonWriter,
  read: StreamRead,
  channels: NamedChannel[],
  open: (position: number) => OpenRead | Promise<OpenRead>,
): AsyncGenerator<Buffer, PropertyNotes, void> {
  const notes: PropertyNotes = new Map();
  const zeroMs = zeroMsOf(read);
  const arrays = {
    values: property.values,
    times: [{ field: property.relative_time_seconds, sinceMs: zeroMs }, { field: property.unix_timestamp_ms }],
  };
  writer.raw('{');
  let separator = '';
  for (const [i, channel] of channels.entries()) {
    const points = await open(i);
    try {
      writer.raw(separator).value(channel.name).raw(':');
      separator = ',';
      notes.set(channel.name, {
        gaps: points.gaps,
        carriedTime: points.carriedTime,
        isDownSampled: points.isDownSampled,
      });
      yield* writeArrays(writer, points, arrays, read.timesBytesMax);
      writer.bytes(property.units).value(channel.units).raw('}');
    } finally {
      points.close();
    }
  }
  writer.raw('}');
  return notes;
}

/** Writes, for each property, the time of the point that was carried in from before the window. */
function writeCarriedIn(writer: JsonWriter, notes: PropertyNotes): void {
  const times = [...notes].map(([name, { carriedTime = null }]) => [name, carriedTime]);
  writer.value(Object.fromEntries(times));
}

function* writeDownSampled(writer: JsonWriter, notes: PropertyNotes): Generator<Buffer, void, void> {
  let separator = '{';
  for (const [name, { isDownSampled }] of notes) {
    writer
      .raw(separator)
      .value(name)
      .raw(isDownSampled === true ? ':true' : ':false');
    separator = ',';
    if (writer.isFull) yield writer.take();
  }
  writer.raw(notes.size === 0 ? '{}' : '}');
}

function* writeGaps(writer: JsonWriter, notes: PropertyNotes): Generator<Buffer, void, void> {
  writer.raw('{');
  let separator = '';
  for (const [name, { gaps: list }] of notes) {
    writer.raw(separator).value(name).raw(':[');
    separator = ',';
    for (const [i, { fromChunk, toChunk, endMs, beginMs }] of list.entries()) {
      const gap: Static<typeof PropertyGap> = {
        from_chunk: fromChunk,
        to_chunk: toChunk,
        data_ends_unix_timestamp_ms: endMs,
        data_begins_unix_timestamp_ms: beginMs,
      };
      writer.raw(i === 0 ? '' : ',').value(gap);
      if (writer.isFull) yield writer.take();
    }
    writer.raw(']');
  }
  writer.raw('}');
}

/** Writes what is known of the stream without reading a chunk. */
function writeHead(writer: JsonWriter, { dataId, channels, span }: StreamRead): void {
  writer.bytes(fields.data_id).value(dataId).bytes(fields.series_max_time);
  if (span === null) writer.raw('null');
  else writer.thousandths(span.endMs - span.zeroMs);
  writer.bytes(fields.property_units).raw('{');
  channels.forEach(({ name, units }, i) => {
    writer
      .raw(i === 0 ? '' : ',')
      .value(name)
      .raw(':')
      .value(units);
  });
  writer
    .raw('}')
    .bytes(fields.available_property_names)
    .value(channels.map(({ name }) => name));
}
