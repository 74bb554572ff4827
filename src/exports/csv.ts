import { stringify } from 'csv-stringify/sync';
import { JsonWriter, type Pieces, pieceBytes } from '../lib/json-writer.ts';
import { CalendarTime } from './calendar.ts';
import type { Export } from './export.ts';
import { withoutFormulas } from './formulas.ts';
import type { LongChunk } from './long.ts';
import type { WideRows } from './row-group.ts';

/*
 * Text goes through csv-stringify, which knows when and how to quote. Numbers need no quotes and are most of a file, so
 * they are written as in the JSON answers: the shortest decimal that reads back to the same bits; a float64 always has a
 * point or an exponent. A library that makes text of whole rows costs three times as much (decision 0008).
 */

const comma = Buffer.from(',');
const lineEnd = Buffer.from('\n');

/** How a CSV file is written. */
export interface CsvForm {
  escapeFormulas: boolean;
  /** Begin with a byte order mark. */
  bom?: boolean;
}

const byteOrderMark = '\ufeff';

export async function* longCsv(
  { columns, isSelection }: Export,
  chunks: AsyncIterable<LongChunk>,
  { escapeFormulas, bom = false }: CsvForm,
): Pieces {
  const writer = new JsonWriter(pieceBytes);
  const time = new CalendarTime();
  const textOf = rememberLast((cells: (string | null)[]) => csvText(cells, escapeFormulas));
  const unitsOf = rememberLast((cells: (string | null)[]) => csvText(cells, escapeFormulas));
  writer.raw(
    `${bom ? byteOrderMark : ''}${csvText(
      columns.map(({ name }) => name),
      escapeFormulas,
    )}\n`,
  );
  for await (const { dataId, channelName, chunk } of chunks) {
    const { times, values, startOffset } = chunk;
    const head = Buffer.from(`${textOf(isSelection ? [dataId, channelName] : [channelName])},${chunk.chunkIndex},`);
    const tail = Buffer.from(`,${unitsOf([chunk.units])}\n`);
    for (let i = 0; i < values.length; i++) {
      const timestamp = times[i] as number;
      writer.bytes(head).integer(startOffset + i);
      writeFloat(writer.bytes(comma), timestamp);
      writer.bytes(comma);
      if (time.set(timestamp)) writer.bytes(time.text());
      writeFloat(writer.bytes(comma), values[i] as number);
      writer.bytes(tail);
      if (writer.isFull) yield writer.take();
    }
  }
  if (!writer.isEmpty) yield writer.take();
}

export async function* wideCsv(
  { columns, isSelection }: Export,
  batches: AsyncIterable<WideRows>,
  { escapeFormulas, bom = false }: CsvForm,
): Pieces {
  const writer = new JsonWriter(pieceBytes);
  const time = new CalendarTime();
  writer.raw(
    `${bom ? byteOrderMark : ''}${csvText(
      columns.map(({ name }) => name),
      escapeFormulas,
    )}\n`,
  );
  for await (const { dataId, times, columns: readings } of batches) {
    const head = Buffer.from(isSelection ? `${dataId},` : '');
    for (let row = 0; row < times.length; row++) {
      const timestamp = times[row] as number;
      writer.bytes(head);
      if (time.set(timestamp)) writer.bytes(time.text());
      writeFloat(writer.bytes(comma), timestamp);
      for (const column of readings) {
        writer.bytes(comma);
        if (column !== undefined) writeFloat(writer, column[row] as number);
      }
      writer.bytes(lineEnd);
      if (writer.isFull) yield writer.take();
    }
  }
  if (!writer.isEmpty) yield writer.take();
}

/** Null is an empty cell. */
function writeFloat(writer: JsonWriter, value: number): void {
  if (!Number.isNaN(value)) writer.float(value);
}

function csvText(cells: (string | null)[], escapeFormulas: boolean): string {
  return stringify([escapeFormulas ? cells.map((cell) => cell && withoutFormulas(cell)) : cells], { eof: false });
}

/** Remembers the last text that was made: the chunks of one channel follow each other, and have the same cells. */
function rememberLast(make: (cells: (string | null)[]) => string): (cells: (string | null)[]) => string {
  let lastKey: string | undefined;
  let last = '';
  return (cells) => {
    const key = JSON.stringify(cells);
    if (key !== lastKey) {
      last = make(cells);
      lastKey = key;
    }
    return last;
  };
}
