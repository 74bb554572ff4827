import { asyncBufferFromFile, parquetMetadataAsync, parquetRead } from 'hyparquet';

/** The cells of a column in one row group; null or undefined where a cell is empty. */
type Column = unknown[];

/**
 * Reads columns of a Parquet file, one row group at a time. Integers come as bigint, times as microseconds since 1970.
 * @throws when the file is no Parquet, or is cut off
 */
export async function* readRowGroups(
  path: string,
  columns: readonly string[],
): AsyncGenerator<{ rows: number; columns: Column[] }> {
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows);
    const found = new Map(columns.map((name): [string, Column] => [name, []]));
    await parquetRead({
      file,
      metadata,
      columns: [...columns],
      rowStart,
      rowEnd,
      parsers: { timestampFromMicroseconds: (micros) => micros },
      onChunk: ({ columnName, columnData }) => {
        const cells = found.get(columnName) as Column;
        for (let i = 0; i < columnData.length; i++) cells.push(columnData[i]);
      },
    });
    const rows = rowEnd - rowStart;
    for (const [name, cells] of found) {
      if (cells.length !== rows) throw new Error(`${path} has ${cells.length} of ${rows} cells in column ${name}`);
    }
    yield { rows, columns: [...found.values()] };
    rowStart = rowEnd;
  }
}
