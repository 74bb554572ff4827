import type { Static } from '@sinclair/typebox';
import { fieldBytes } from '../lib/json-fields.ts';
import type { JsonWriter } from '../lib/json-writer.ts';
import type { ChannelAccount } from './channel-account.ts';
import { irregularities, numbersPerRun } from './irregular-runs.ts';
import type { MarkedChunks } from './marked-chunks.ts';
import { IrregularRun, type MarkedRun } from './schemas.ts';

/* Writes the lists of an account as JSON, in pieces: a list may have a million entries. */

export type PiecesOfList = Generator<Buffer, void, void>;

const fields = fieldBytes(IrregularRun);

/** Writes the runs of stored chunks: those before, between and after the holes. */
export function* writePresent(writer: JsonWriter, { holes }: ChannelAccount): PiecesOfList {
  const gaps = holes.all.view();
  let first = 0;
  writer.raw('[');
  for (let i = 0; i < gaps.length; i += 2) {
    const gap = gaps[i] as number;
    if (gap > first) writeRange(writer, first, gap - 1).raw(',');
    first = (gaps[i + 1] as number) + 1;
    if (writer.isFull) yield writer.take();
  }
  writeRange(writer, first, holes.highestIndex).raw(']');
}

export function* writeMissing(writer: JsonWriter, { holes }: ChannelAccount): PiecesOfList {
  const gaps = holes.missing.view();
  writer.raw('[');
  for (let i = 0; i < gaps.length; i += 2) {
    if (i > 0) writer.raw(',');
    writeRange(writer, gaps[i] as number, gaps[i + 1] as number);
    if (writer.isFull) yield writer.take();
  }
  writer.raw(']');
}

export function* writeIrregular(writer: JsonWriter, { irregular }: ChannelAccount): PiecesOfList {
  const numbers = irregular.list.view();
  writer.raw('[');
  for (let i = 0; i < numbers.length; i += numbersPerRun) {
    const [first, last, chunks, points, kinds] = numbers.subarray(i, i + numbersPerRun) as unknown as Run;
    if (i > 0) writer.raw(',');
    writer.bytes(fields.chunk_index).integer(first).bytes(fields.last_chunk_index).integer(last);
    writer.bytes(fields.chunk_count).integer(chunks).bytes(fields.point_count).integer(points);
    writer
      .bytes(fields.irregularities)
      .raw(kindsText[kinds] as string)
      .raw('}');
    if (writer.isFull) yield writer.take();
  }
  writer.raw(']');
}

export function* writeMarked(writer: JsonWriter, chunks: MarkedChunks): PiecesOfList {
  let separator = '';
  writer.raw('[');
  for (const { first, last, timeMin, timeMax } of chunks.runs()) {
    const run: Static<typeof MarkedRun> = { from_chunk: first, to_chunk: last, time_min: timeMin, time_max: timeMax };
    writer.raw(separator).value(run);
    separator = ',';
    if (writer.isFull) yield writer.take();
  }
  writer.raw(']');
}

type Run = [first: number, last: number, chunks: number, points: number, kinds: number];

/** Writes the smallest and the largest number of points that chunks of the channel usually have. */
export function writeUsual(writer: JsonWriter, { usualCounts: { fewest, most } }: ChannelAccount): void {
  writeRange(writer, fewest, most);
}

function writeRange(writer: JsonWriter, first: number, last: number): JsonWriter {
  return writer.raw('[').integer(first).raw(',').integer(last).raw(']');
}

const kinds = Object.entries(irregularities);
/** For every sum of bits of `irregularities`, their names as JSON. */
const kindsText = Array.from({ length: 2 * Math.max(...Object.values(irregularities)) }, (_, sum) =>
  JSON.stringify(kinds.filter(([, bit]) => (sum & bit) !== 0).map(([name]) => name)),
);
