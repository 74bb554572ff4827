import { gzipSync, type ZlibOptions } from 'node:zlib';

/** BODY_LIMIT_BYTES as it is by default. */
export const bodyLimitBytes = 32 * 1024 * 1024;

const seriesOf = new Map<number, Buffer>();

/** The two arrays of a chunk, with the end of its body; the same bytes for the same number of points. */
function series(points: number): Buffer {
  let bytes = seriesOf.get(points);
  if (bytes === undefined) {
    const list = (one: (i: number) => number) => Array.from({ length: points }, (_, i) => one(i)).join(',');
    bytes = Buffer.from(
      `"timestamps":[${list((i) => 1_700_000_000 + i / 10)}],"values":[${list((i) => (i * 7919) % 1_000_003)}]}`,
    );
    seriesOf.set(points, bytes);
  }
  return bytes;
}

export interface ChunkAddress {
  dataId: string;
  index: number;
  channel: string;
}

/** The body of a legal chunk, in two parts of which the second is shared by all of its length. */
export function chunkBody({ dataId, index, channel }: ChunkAddress, points: number): Buffer[] {
  const start = `{"data_id":"${dataId}","chunk_index":${index},"channel_name":${JSON.stringify(channel)},`;
  return [Buffer.from(start), series(points)];
}

/** The points of a chunk whose body is just below `bodyLimitBytes`. */
export const pointsOfLargestBody = 1_640_000;

/** A legal body of many channels under one index, each with so many points. */
export function multiBody(dataId: string, index: number, channels: number, points: number): Buffer {
  const readings = series(points).toString();
  const members = Array.from({ length: channels }, (_, i) => `"channel ${i}":{${readings}`);
  return Buffer.from(`{"data_id":"${dataId}","chunk_index":${index},"channels":{${members.join(',')}}}`);
}

/** A body in which `piece` stands again and again, up to `bytes` in all. */
export function filledBody(start: string, piece: string, end: string, bytes: number): Buffer {
  const count = Math.max(1, Math.floor((bytes - start.length - end.length) / piece.length));
  const body = Buffer.alloc(start.length + count * piece.length + end.length);
  body.write(start, 0);
  body.fill(piece, start.length, start.length + count * piece.length);
  body.write(end, start.length + count * piece.length);
  return body;
}

const compressed = new Map<string, Buffer>();

/** Compresses once for the whole run. */
export function gzipped(name: string, make: () => Buffer, options: ZlibOptions = {}): Buffer {
  const known = compressed.get(name) ?? gzipSync(make(), options);
  compressed.set(name, known);
  return known;
}
