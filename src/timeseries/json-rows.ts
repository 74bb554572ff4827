import { fieldBytes } from '../lib/json-fields.ts';
import type { JsonWriter } from '../lib/json-writer.ts';
import type { ChannelsPoints, PointRead } from '../points/points.ts';
import { SeriesRow } from './schemas.ts';

const fields = fieldBytes(SeriesRow);

/**
 * Writes the list of rows, in order of time: one row for each ms in which any of the channels has a point. A row holds the
 * channels with a point there; an absent reading is null. `lastRows` keeps only the newest rows: all rows are counted
 * first, so that none has to be held in memory.
 */
export async function* writeJsonRows(
  writer: JsonWriter,
  rows: PointRead<ChannelsPoints>,
  channels: readonly { name: string }[],
  zeroMs: number,
  lastRows?: number,
): AsyncGenerator<Buffer, void, void> {
  const keys = channels.map(({ name }) => Buffer.from(`,${JSON.stringify(name)}:`));
  let skip = 0;
  if (lastRows !== undefined && channels.length > 1) skip = Math.max(0, (await countRows(rows)) - lastRows);
  writer.raw('[');
  let isFirst = true;
  for await (const { times, values, channels: lanes } of rows.batches({ withValues: true })) {
    for (let i = 0; i < times.length; ) {
      const end = endOfRow(times, i);
      if (skip > 0) {
        skip--;
        i = end;
        continue;
      }
      writeRowTime(writer, isFirst, times[i] as number, zeroMs);
      isFirst = false;
      for (; i < end; i++) writer.bytes(keys[lanes[i] as number] as Buffer).float(values[i] as number);
      writer.bytes(rowEnd);
      if (writer.isFull) yield writer.take();
    }
  }
  writer.raw(']');
}

async function countRows(rows: PointRead<ChannelsPoints>): Promise<number> {
  let count = 0;
  for await (const { times } of rows.batches({ withValues: false })) {
    for (let i = 0; i < times.length; i = endOfRow(times, i)) count++;
  }
  return count;
}

/** The position after the last point of the row that begins at `from`. */
function endOfRow(times: Float64Array, from: number): number {
  let end = from + 1;
  while (end < times.length && times[end] === times[from]) end++;
  return end;
}

const rowStart = Buffer.concat([Buffer.from(','), fields.unix_timestamp_ms]);
const rowEnd = Buffer.from('}');

function writeRowTime(writer: JsonWriter, isFirst: boolean, ms: number, zeroMs: number): void {
  writer.bytes(isFirst ? fields.unix_timestamp_ms : rowStart).integer(ms);
  writer.bytes(fields.relative_time_seconds).thousandths(ms - zeroMs);
}
