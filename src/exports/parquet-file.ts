import { ByteWriter, type ColumnSource, ParquetWriter } from 'hyparquet-writer';
import { type Pieces, pieceBytes } from '../lib/json-writer.ts';
import { packageCommit, packageName, packageVersion } from '../lib/package-info.ts';
import type { Reading } from '../lib/reading.ts';
import type { ExportColumn } from './export.ts';

/*
 * Row groups are encoded one at a time, column by column, between which others have their turn. What stays in memory until
 * the end is Parquet's directory: half a kilobyte a row group and column.
 */

export type Cells = ColumnSource['data'];
/** Makes the cells of a column when its turn has come. */
export type MakeCells = () => Cells;
type RowGroup = ParquetWriter['row_groups'][number];

/**
 * A file that is given out as it is written: what each call returns comes after what the calls before returned.
 * @param about where the data come from; it stands in the file
 */
export function createParquetFile(columns: readonly ExportColumn[], about: object, rest: Reading['rest']) {
  const bytes = new ByteWriter();
  const metadata = JSON.stringify(about);
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
