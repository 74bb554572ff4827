import type { ReadStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../errors.ts';
import { type Pieces, pieceBytes } from '../lib/json-writer.ts';
import { sendPieces } from './send-pieces.ts';

export interface OpenFile {
  /** `sendFile` closes it, when the file was sent or is not needed. */
  handle: FileHandle;
  bytes: number;
}

/**
 * Sends a file, with support for ranges, conditional requests (ETag) and HEAD.
 * @param tag identifies the bytes of the file, and must differ for other bytes
 * @throws ApiError 416 for a range that is beyond the end of the file
 */
export async function sendFile(
  request: FastifyRequest,
  reply: FastifyReply,
  { handle, bytes }: OpenFile,
  tag: string,
): Promise<FastifyReply> {
  const etag = `"${tag}"`;
  const { 'if-none-match': known, 'if-range': ifRange, range: wanted } = request.headers;
  const isKnown = known?.split(',').some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === etag);
  reply.header('etag', etag).header('accept-ranges', 'bytes').header('cache-control', 'private, no-cache');
  const range = ifRange === undefined || ifRange === etag ? byteRangeOf(wanted, bytes) : undefined;
  if (isKnown || range === 'beyond' || request.method === 'HEAD' || bytes === 0) await handle.close();
  if (isKnown) return reply.code(304).send();
  if (range === 'beyond') {
    throw new ApiError('range_not_satisfiable', `The file has ${bytes} bytes.`, {
      'content-range': `bytes */${bytes}`,
    });
  }
  const { first, last } = range ?? { first: 0, last: bytes - 1 };
  if (range !== undefined) reply.code(206).header('content-range', `bytes ${first}-${last}/${bytes}`);
  reply.header('content-length', last - first + 1);
  if (request.method === 'HEAD' || bytes === 0) return reply.send(Readable.from([]));
  const stream = handle.createReadStream({ start: first, end: last, highWaterMark: pieceBytes });
  // Closes the file, even if nothing of the stream was read.
  reply.raw.once('close', () => stream.destroy());
  return sendPieces(reply, piecesOf(stream), String(reply.getHeader('content-type')));
}

async function* piecesOf(stream: ReadStream): Pieces {
  for await (const piece of stream) yield piece;
}

/**
 * The range of bytes that a header asks for, both ends included. Undefined for the whole file; a request for several
 * ranges gets that too.
 */
export function byteRangeOf(
  header: string | undefined,
  bytes: number,
): { first: number; last: number } | 'beyond' | undefined {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header?.replaceAll(' ', '') ?? '') ?? [];
  if (from === undefined || to === undefined || (from === '' && to === '')) return undefined;
  if (from === '') {
    const count = Math.min(Number(to), bytes);
    return count === 0 ? 'beyond' : { first: bytes - count, last: bytes - 1 };
  }
  const first = Number(from);
  const last = to === '' ? bytes - 1 : Math.min(Number(to), bytes - 1);
  if (to !== '' && Number(to) < first) return undefined;
  return first >= bytes ? 'beyond' : { first, last };
}
