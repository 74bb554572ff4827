import type { JsonWriter } from '../lib/json-writer.ts';
import { type ChannelPoints, openChannelPoints } from './channel-points.ts';
import type { Points } from './point-buffer.ts';
import { boundsFor, type NamedChannel, type Selection, type StreamRead } from './stream-read.ts';

/**
 * Writes the list of rows: one for each ms at which any of the channels has a point, in order, with the channels that
 * have one there; an absent reading is null, a channel without a point is not in the row.
 * Each channel is read by pages of its own, and their share of the memory is smaller the more there are.
 * `lastRows` keeps only the newest rows: the rows are counted first, so that none has to be held.
 */
export async function* writeRows(
  writer: JsonWriter,
  read: StreamRead,
  channels: NamedChannel[],
  selection: Selection,
  lastRows?: number,
): AsyncGenerator<Buffer, void, void> {
  const zeroMs = read.span?.zeroMs ?? 0;
  const sources = await openSources(read, channels, selection, zeroMs);
  let skip = 0;
  if (lastRows !== undefined && channels.length > 1) skip = Math.max(0, (await countRows(sources)) - lastRows);
  writer.raw('[');
  let separate = false;
  for await (const lanes of joinByMs(sources, true)) {
    do {
      if (skip > 0) skip--;
      else {
        if (separate) writer.bytes(comma);
        separate = true;
        writeRow(writer, lanes, zeroMs);
        if (writer.isFull) yield writer.take();
      }
    } while (advance(lanes));
  }
  writer.raw(']');
}

/** A channel with the text that its name is in a row. */
interface Source {
  key: Buffer;
  points: ChannelPoints;
}

async function openSources(read: StreamRead, channels: NamedChannel[], selection: Selection, zeroMs: number) {
  const bounds = boundsFor(Math.max(1, channels.length));
  const sources: Source[] = [];
  for (const channel of channels) {
    const points = await openChannelPoints(read.sourceOf(channel), selection, zeroMs, bounds);
    sources.push({ key: Buffer.from(`,${JSON.stringify(channel.name)}:`), points });
  }
  return sources;
}

async function countRows(sources: Source[]): Promise<number> {
  let count = 0;
  for await (const lanes of joinByMs(sources, false)) {
    do count++;
    while (advance(lanes));
  }
  return count;
}

/** The channels side by side: those whose next point is at `ms` belong to the row. */
interface Lanes {
  ms: number;
  /** The ms of each channel's next point, infinite at its end. */
  fronts: Float64Array;
  batches: Points[];
  at: Uint32Array;
  keys: Buffer[];
  /** Channels whose batch has been used up. */
  used: number[];
}

const nothing: Points = { ms: new Float64Array(0), values: new Float64Array(0) };

/**
 * Stands at the first row, and after that at the first row for which a page had to be fetched; `advance` goes through
 * the rows in between without waiting. A row looks at every channel: with the few hundred that an instrument has, that
 * is cheaper than a heap.
 */
async function* joinByMs(sources: Source[], withValues: boolean): AsyncGenerator<Lanes, void, void> {
  const readers = sources.map(({ points }) => points.read(withValues));
  const lanes: Lanes = {
    ms: 0,
    fronts: new Float64Array(sources.length),
    batches: sources.map(() => nothing),
    at: new Uint32Array(sources.length),
    keys: sources.map(({ key }) => key),
    used: sources.map((_, lane) => lane),
  };
  for (;;) {
    for (const lane of lanes.used) {
      const { value: batch } = await (readers[lane] as AsyncGenerator<Points, void, void>).next();
      lanes.batches[lane] = batch ?? nothing;
      lanes.fronts[lane] = batch?.ms[0] ?? Number.POSITIVE_INFINITY;
      lanes.at[lane] = 0;
    }
    lanes.used = [];
    lanes.ms = earliest(lanes.fronts);
    if (lanes.ms === Number.POSITIVE_INFINITY) return;
    yield lanes;
  }
}

/** Goes to the next row; false when a channel has to fetch its next page first. */
function advance(lanes: Lanes): boolean {
  const { fronts, batches, at, ms, used } = lanes;
  for (let lane = 0; lane < fronts.length; lane++) {
    if (fronts[lane] !== ms) continue;
    const next = (at[lane] as number) + 1;
    const batch = (batches[lane] as Points).ms;
    if (next === batch.length) used.push(lane);
    else fronts[lane] = batch[next] as number;
    at[lane] = next;
  }
  if (used.length > 0) return false;
  lanes.ms = earliest(fronts);
  return true;
}

function earliest(fronts: Float64Array): number {
  let ms = Number.POSITIVE_INFINITY;
  for (let lane = 0; lane < fronts.length; lane++) {
    const front = fronts[lane] as number;
    if (front < ms) ms = front;
  }
  return ms;
}

const rowStart = Buffer.from('{"unix_timestamp_ms":');
const rowTime = Buffer.from(',"relative_time_seconds":');
const rowEnd = Buffer.from('}');
const comma = Buffer.from(',');

function writeRow(writer: JsonWriter, { ms, fronts, batches, at, keys }: Lanes, zeroMs: number): void {
  writer
    .bytes(rowStart)
    .integer(ms)
    .bytes(rowTime)
    .thousandths(ms - zeroMs);
  for (let lane = 0; lane < fronts.length; lane++) {
    if (fronts[lane] !== ms) continue;
    writer.bytes(keys[lane] as Buffer).float((batches[lane] as Points).values[at[lane] as number] as number);
  }
  writer.bytes(rowEnd);
}
