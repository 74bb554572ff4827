import type { JsonWriter } from '../lib/json-writer.ts';
import { type ChannelAccount, irregularities } from './channel-account.ts';
import type { MarkedChunks } from './marked-chunks.ts';

/*
 * The lists of an account as JSON, in pieces: each may hold a million entries.
 */

export type PiecesOfList = Generator<Buffer, void, void>;

/** The runs of chunks that are there: what lies before, between and after the missing ones. */
export function* writePresent(writer: JsonWriter, { missing, highestChunkIndex }: ChannelAccount): PiecesOfList {
  const gaps = missing.view();
  let first = 0;
  writer.raw('[');
  for (let i = 0; i < gaps.length; i += 2) {
    const gap = gaps[i] as number;
    if (gap > first) writeRange(writer, first, gap - 1).raw(',');
    first = (gaps[i + 1] as number) + 1;
    if (writer.isFull) yield writer.take();
  }
  writeRange(writer, first, highestChunkIndex).raw(']');
}

export function* writeMissing(writer: JsonWriter, { missing }: ChannelAccount): PiecesOfList {
  const gaps = missing.view();
  writer.raw('[');
  for (let i = 0; i < gaps.length; i += 2) {
    if (i > 0) writer.raw(',');
    writeRange(writer, gaps[i] as number, gaps[i + 1] as number);
    if (writer.isFull) yield writer.take();
  }
  writer.raw(']');
}

export function* writeIrregular(writer: JsonWriter, { irregular }: ChannelAccount): PiecesOfList {
  const numbers = irregular.view();
  writer.raw('[');
  for (let i = 0; i < numbers.length; i += 3) {
    writer.raw(i === 0 ? '{"chunk_index":' : ',{"chunk_index":').integer(numbers[i] as number);
    writer.raw(',"point_count":').integer(numbers[i + 1] as number);
    writer
      .raw(',"irregularities":')
      .raw(kindsText[numbers[i + 2] as number] as string)
      .raw('}');
    if (writer.isFull) yield writer.take();
  }
  writer.raw(']');
}

export function* writeMarked(writer: JsonWriter, chunks: MarkedChunks): PiecesOfList {
  let separator = '';
  writer.raw('[');
  for (const { first, last, timeMin, timeMax } of chunks.runs()) {
    writer.raw(separator).value({ from_chunk: first, to_chunk: last, time_min: timeMin, time_max: timeMax });
    separator = ',';
    if (writer.isFull) yield writer.take();
  }
  writer.raw(']');
}

function writeRange(writer: JsonWriter, first: number, last: number): JsonWriter {
  return writer.raw('[').integer(first).raw(',').integer(last).raw(']');
}

const kinds = Object.entries(irregularities);
/** The names of every sum of `irregularities`, as JSON. */
const kindsText = Array.from({ length: 2 ** kinds.length }, (_, sum) =>
  JSON.stringify(kinds.filter(([, bit]) => (sum & bit) !== 0).map(([name]) => name)),
);
