import { ByteWriter, type ColumnSource, ParquetWriter } from 'hyparquet-writer';
import { type Pieces, pieceBytes } from '../lib/json-writer.ts';
import { packageCommit, packageName, packageVersion } from '../lib/package-info.ts';
import type { Reading } from '../lib/reading.ts';
import { CalendarTime } from './calendar.ts';
import { type Export, type ExportColumn, metadataOf } from './export.ts';
import type { ExportLimits } from './limits.ts';
import type { LongChunk } from './long.ts';
import type { WideRows } from './row-group.ts';

/*
 * Row groups are encoded one at a time, column by column, between which others have their turn. What stays in memory until
 * the end is Parquet's directory: half a kilobyte a row group and column.
 */

/** Rows of a row group of a wide export. */
export function wideGroupRows(
  columnCount: number,
  { groupRowsMax, groupCellsMax, groupRowsMin }: ExportLimits,
): number {
  return Math.min(groupRowsMax, Math.max(groupRowsMin, Math.floor(groupCellsMax / columnCount)));
}

type Cells = ColumnSource['data'];
/** Makes the cells of a column when its turn has come. */
type MakeCells = () => Cells;
type Rest = Reading['rest'];
type RowGroup = ParquetWriter['row_groups'][number];

export async function* longParquet(
  exported: Export,
  chunks: AsyncIterable<LongChunk>,
  { groupRowsMax }: ExportLimits,
  rest: Rest,
): Pieces {
  const file = createFile(exported, rest);
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
  const file = createFile(exported, rest);
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

  /** Adds points of a chunk from a position on, while there is room. @returns the position of the first that is left */
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

  /** The columns; valid until more points are added. */
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

/** With null in the place of NaN. */
function nullable(numbers: Float64Array): Cells {
  if (!numbers.some(Number.isNaN)) return numbers;
  return Array.from(numbers, (number) => (Number.isNaN(number) ? null : number));
}

/** A file that is given out as it is written: what each call returns comes after what the calls before returned. */
function createFile(exported: Export, rest: Rest) {
  const bytes = new ByteWriter();
  const metadata = JSON.stringify(metadataOf(exported));
  const { columns } = exported;
  const file = new ParquetWriter({
    writer: bytes,
    schema: [{ name: 'schema', num_children: columns.length }, ...columns.map(schemaOf)],
    createdBy: `${packageName} version ${packageVersion} (build ${packageCommit})`,
    kvMetadata: [
      { key: 'metrology', value: metadata },
      // What pandas shows as `DataFrame.attrs`.
      { key: 'PANDAS_ATTRS', value: metadata },
    ],
  });
  const take = () => {
    const piece = Buffer.from(bytes.getBuffer());
    bytes.index = 0;
    return piece;
  };
  const keysOf = columns.map(columnMetadata);
  return {
    /**
     * The library encodes all columns that it is given in one go. So each is written as a row group of its own, of which
     * only the column is kept: together they are the row group.
     */
    async *rowGroup(cells: MakeCells[]): Pieces {
      const group: RowGroup = { columns: [], total_byte_size: 0n, num_rows: 0n, total_compressed_size: 0n };
      const rowsBefore = file.num_rows;
      for (const [i, { name, type }] of columns.entries()) {
        await rest();
        const data = (cells[i] as MakeCells)();
        const encoding = encodings[type];
        file.write({ columnData: [{ name, data, ...(encoding && { encoding }) }], rowGroupSize: data.length });
        const written = file.row_groups.pop() as RowGroup;
        for (const { meta_data } of written.columns) {
          if (meta_data && keysOf[i]) meta_data.key_value_metadata = keysOf[i];
        }
        group.columns.push(...written.columns);
        group.total_byte_size += written.total_byte_size;
        group.total_compressed_size = (group.total_compressed_size ?? 0n) + (written.total_compressed_size ?? 0n);
        group.num_rows = written.num_rows;
        if (bytes.index >= pieceBytes) yield take();
      }
      file.row_groups.push(group);
      file.num_rows = rowsBefore + group.num_rows;
      if (bytes.index > 0) yield take();
    },
    end(): Buffer {
      file.finish();
      return take();
    },
  };
}

/**
 * The library's own choice, a dictionary where it saves, is left to texts: in a dictionary −0 and 0 would be the same.
 * Indexes, offsets and times mostly count up, which differences hold in a few bits.
 */
const encodings = {
  text: undefined,
  integer: 'DELTA_BINARY_PACKED',
  float64: 'PLAIN',
  time: 'DELTA_BINARY_PACKED',
} as const;

function schemaOf({ name, type, isRequired }: ExportColumn) {
  const repetition_type = isRequired ? ('REQUIRED' as const) : ('OPTIONAL' as const);
  switch (type) {
    case 'text':
      return {
        name,
        repetition_type,
        type: 'BYTE_ARRAY',
        converted_type: 'UTF8',
        logical_type: { type: 'STRING' },
      } as const;
    case 'integer':
      return { name, repetition_type, type: 'INT64' } as const;
    case 'float64':
      return { name, repetition_type, type: 'DOUBLE' } as const;
    case 'time':
      return {
        name,
        repetition_type,
        type: 'INT64',
        converted_type: 'TIMESTAMP_MICROS',
        logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
      } as const;
  }
}

/** What Parquet keeps beside a column of a channel. */
function columnMetadata({ channel }: ExportColumn) {
  if (channel === undefined) return undefined;
  const { name, units } = channel;
  return [{ key: 'channel_name', value: name }, ...(units === null ? [] : [{ key: 'units', value: units }])];
}
