import type { Pieces } from '../lib/json-writer.ts';
import type { Reading } from '../lib/reading.ts';
import { CalendarTime } from './calendar.ts';
import { type Export, metadataOf } from './export.ts';
import type { ExportLimits } from './limits.ts';
import type { LongChunk } from './long.ts';
import { type Cells, createParquetFile, type MakeCells } from './parquet-file.ts';
import type { WideRows } from './row-group.ts';

/** How many rows a row group of a wide export has. */
export function wideGroupRows(
  columnCount: number,
  { groupRowsMax, groupCellsMax, groupRowsMin }: ExportLimits,
): number {
  return Math.min(groupRowsMax, Math.max(groupRowsMin, Math.floor(groupCellsMax / columnCount)));
}

type Rest = Reading['rest'];

export async function* longParquet(
  exported: Export,
  chunks: AsyncIterable<LongChunk>,
  { groupRowsMax }: ExportLimits,
  rest: Rest,
): Pieces {
  const file = createParquetFile(exported.columns, metadataOf(exported), rest);
  const group = new LongGroup(groupRowsMax);
  for await (const { dataId, channelName, chunk } of chunks) {
    for (let from = 0; from < chunk.values.length; ) {
      from = group.add(dataId, channelName, chunk, from);
      if (group.length === groupRowsMax) yield* file.rowGroup(group.take(exported.isSelection));
    }
    await rest();
  }
  if (group.length > 0) yield* file.rowGroup(group.take(exported.isSelection));
  yield file.end();
}

export async function* wideParquet(exported: Export, batches: AsyncIterable<WideRows>, rest: Rest): Pieces {
  const file = createParquetFile(exported.columns, metadataOf(exported), rest);
  const time = new CalendarTime();
  for await (const { dataId, times, columns } of batches) {
    const nulls = new Array<null>(times.length).fill(null);
    yield* file.rowGroup([
      ...(exported.isSelection ? [() => new Array<string>(times.length).fill(dataId)] : []),
      () => Array.from(times, (seconds) => (time.set(seconds) ? time.micros() : null)),
      () => times,
      ...columns.map((column) => () => (column === undefined ? nulls : nullable(column))),
    ]);
  }
  yield file.end();
}

/** The columns of the long layout, for the rows of one row group. */
class LongGroup {
  #dataIds: string[] = [];
  #channelNames: string[] = [];
  #chunkIndexes: number[] = [];
  #offsets: number[] = [];
  readonly #timestamps: Float64Array;
  #times: (bigint | null)[] = [];
  readonly #values: Float64Array;
  #units: (string | null)[] = [];
  readonly #time = new CalendarTime();
  length = 0;

  constructor(rowsMax: number) {
    this.#timestamps = new Float64Array(rowsMax);
    this.#values = new Float64Array(rowsMax);
  }

  /**
   * Adds points of a chunk from a position on, as long as there is room.
   * @returns the position of the first point not added
   */
  add(dataId: string, channelName: string, chunk: LongChunk['chunk'], from: number): number {
    const { times, values, startOffset, chunkIndex, units } = chunk;
    const end = Math.min(values.length, from + this.#values.length - this.length);
    for (let i = from; i < end; i++) {
      const timestamp = times[i] as number;
      this.#dataIds.push(dataId);
      this.#channelNames.push(channelName);
      this.#chunkIndexes.push(chunkIndex);
      this.#offsets.push(startOffset + i);
      this.#timestamps[this.length] = timestamp;
      this.#times.push(this.#time.set(timestamp) ? this.#time.micros() : null);
      this.#values[this.length++] = values[i] as number;
      this.#units.push(units);
    }
    return end;
  }

  /** Takes the columns; they are valid until more points are added. */
  take(withDataIds: boolean): MakeCells[] {
    const [dataIds, channelNames, chunkIndexes, offsets] = [
      this.#dataIds,
      this.#channelNames,
      this.#chunkIndexes,
      this.#offsets,
    ];
    const [times, units] = [this.#times, this.#units];
    const timestamps = this.#timestamps.subarray(0, this.length);
    const values = this.#values.subarray(0, this.length);
    const cells: MakeCells[] = [
      ...(withDataIds ? [() => dataIds] : []),
      () => channelNames,
      () => chunkIndexes,
      () => offsets,
      () => nullable(timestamps),
      () => times,
      () => nullable(values),
      () => units,
    ];
    this.length = 0;
    this.#dataIds = [];
    this.#channelNames = [];
    this.#chunkIndexes = [];
    this.#offsets = [];
    this.#times = [];
    this.#units = [];
    return cells;
  }
}

/** The numbers with null instead of NaN. */
function nullable(numbers: Float64Array): Cells {
  if (!numbers.some(Number.isNaN)) return numbers;
  return Array.from(numbers, (number) => (Number.isNaN(number) ? null : number));
}
