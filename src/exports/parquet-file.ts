import { ByteWriter, type ColumnSource, ParquetWriter } from 'hyparquet-writer';
import { type Pieces, pieceBytes } from '../lib/json-writer.ts';
import { packageCommit, packageName, packageVersion } from '../lib/package-info.ts';
import type { Reading } from '../lib/reading.ts';
import type { ExportColumn } from './export.ts';

/*
 * Row groups are encoded one at a time and column by column. Between two columns other requests have their turn. Only the
 * metadata of the file stays in memory until the end: half a kilobyte for each column of a row group.
 */

export type Cells = ColumnSource['data'];
/** Makes the cells of a column, when that column is encoded. */
export type MakeCells = () => Cells;
type RowGroup = ParquetWriter['row_groups'][number];

/**
 * A Parquet file that is given out while it is written: each call returns the bytes that follow those of the calls before.
 * @param about where the data come from; it is stored in the file
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
      // pandas shows this as `DataFrame.attrs`.
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
     * The library encodes all columns of a row group without a pause. So each column is written as a row group of its own,
     * and the columns are then joined to one row group in the metadata.
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
 * Only texts get the library's own choice: a dictionary where that saves space. In a dictionary −0 and 0 would be the same.
 * Indexes, offsets and times mostly count up, so differences need few bits.
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

/** The metadata that Parquet stores with the column of a channel. */
function columnMetadata({ channel }: ExportColumn) {
  if (channel === undefined) return undefined;
  const { name, units } = channel;
  return [{ key: 'channel_name', value: name }, ...(units === null ? [] : [{ key: 'units', value: units }])];
}
