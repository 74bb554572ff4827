import { type CellValue, writeXlsxStream } from 'hucre/xlsx';
import { invalid } from '../errors.ts';
import type { Pieces } from '../lib/json-writer.ts';
import type { Reading } from '../lib/reading.ts';
import type { Export, ExportColumn } from './export.ts';
import type { ExportLimits } from './limits.ts';
import type { LongChunk } from './long.ts';
import type { WideRows } from './row-group.ts';

/*
 * A workbook of one sheet, written while rows come. Texts are text cells, so a spreadsheet never runs them as formulas.
 * Times are spreadsheet dates in UTC. A number is the shortest decimal that reads back to the same bits, except that −0,
 * which no spreadsheet knows, becomes 0.
 *
 * A row of seven cells costs 23 µs of CPU for the library's XML and for compression, which runs in a thread of its own. 3
 * µs of them are for looking up the style of times. Rows of fewer cells cost less. Large data are better exported as
 * Parquet.
 */

type Row = CellValue[];
type Rest = Reading['rest'];

/** Cells that are made between two turns of the event loop: about 5 ms of work. */
const cellsPerTurn = 2_000;
/** With more cells a sheet may be larger than the older ZIP format can hold. */
const plainCellsMax = 30_000_000;

/** @throws ApiError 422 for more rows than fit on a sheet */
export function requireFitsSheet(rowCount: number, { sheetRowsMax }: ExportLimits): void {
  // One row holds the names of the columns.
  if (rowCount < sheetRowsMax) return;
  throw invalid(
    ['query', 'format'],
    `a sheet of XLSX has at most ${sheetRowsMax} rows (sheetRowsMax), which are too few for this export: take CSV or Parquet, fewer channels by channel_names, or, in the wide layout, a window by start and end or rows at even times by every`,
  );
}

export async function* longXlsx(exported: Export, chunks: AsyncIterable<LongChunk>, rest: Rest): Pieces {
  yield* workbook(exported, longRows(exported, chunks, rest));
}

export async function* wideXlsx(exported: Export, batches: AsyncIterable<WideRows>, rest: Rest): Pieces {
  yield* workbook(exported, wideRows(exported, batches, rest));
}

async function* longRows(
  { isSelection, columns }: Export,
  chunks: AsyncIterable<LongChunk>,
  rest: Rest,
): AsyncGenerator<Row, void, void> {
  const rowsPerTurn = Math.ceil(cellsPerTurn / columns.length);
  let made = 0;
  for await (const { dataId, channelName, chunk } of chunks) {
    const { times, values, startOffset, chunkIndex, units } = chunk;
    for (let i = 0; i < values.length; i++) {
      const time = times[i] as number;
      const of = [channelName, chunkIndex, startOffset + i];
      yield [...(isSelection ? [dataId] : []), ...of, orNull(time), dateOf(time), orNull(values[i] as number), units];
      if (++made % rowsPerTurn === 0) await rest();
    }
  }
}

async function* wideRows(
  { isSelection, columns }: Export,
  batches: AsyncIterable<WideRows>,
  rest: Rest,
): AsyncGenerator<Row, void, void> {
  const rowsPerTurn = Math.ceil(cellsPerTurn / columns.length);
  let made = 0;
  for await (const { dataId, times, columns: readings } of batches) {
    for (let row = 0; row < times.length; row++) {
      const time = times[row] as number;
      const cells = readings.map((column) => (column === undefined ? null : orNull(column[row] as number)));
      yield [...(isSelection ? [dataId] : []), dateOf(time), time, ...cells];
      if (++made % rowsPerTurn === 0) await rest();
    }
  }
}

async function* workbook(exported: Export, rows: AsyncGenerator<Row, void, void>): Pieces {
  // The library emits bytes before it asks for the first row. The first row is read before that, so that an early error is
  // thrown here.
  const first = await rows.next();
  const cells = exported.streams
    .flatMap(({ channels }) => channels)
    .reduce((sum, { point_count }) => sum + point_count, 0);
  const stream = writeXlsxStream(continued(first, rows), {
    name: exported.layout,
    columns: exported.columns.map(columnOf),
    freezePane: { rows: 1 },
    zip64: cells * exported.columns.length > plainCellsMax,
  });
  try {
    for await (const piece of stream) yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
  } finally {
    await rows.return();
  }
}

async function* continued(first: IteratorResult<Row, void>, rest: AsyncGenerator<Row, void, void>) {
  if (!first.done) yield first.value;
  yield* rest;
}

/** Headers include the unit, since a number in a cell cannot. */
function columnOf({ name, type }: ExportColumn): { header: string; numFmt?: string; width?: number } {
  if (type === 'time') return { header: `${name} [UTC]`, numFmt: 'yyyy-mm-dd hh:mm:ss.000', width: 24 };
  return name === 'timestamp' ? { header: `${name} [s]`, width: 20 } : { header: name };
}

const orNull = (number: number): number | null => (Number.isNaN(number) ? null : number);

const secondsPerDay = 86_400;
/**
 * Spreadsheet day numbers: of 1970-01-01; of 1900-03-01 (before it, spreadsheets count a 29 February 1900 that never was);
 * and of the year 10000.
 */
const [day1970, firstDay, endDay] = [25_569, 61, 2_958_466];

/** The spreadsheet date of a time: days since the beginning of 1900. Null for a time outside of spreadsheet dates. */
function dateOf(seconds: number): number | null {
  const day = Math.floor(seconds / secondsPerDay);
  const date = day + day1970 + (seconds - day * secondsPerDay) / secondsPerDay;
  return date >= firstDay && date < endDay ? date : null;
}
