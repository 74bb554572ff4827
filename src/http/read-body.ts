import type { IncomingMessage } from 'node:http';
import { createGunzip, type Gunzip } from 'node:zlib';
import { limits } from '../config.ts';
import { ApiError, clip } from '../errors.ts';

/** Header of an answer after which the connection cannot be used: something of the body is left unread. */
export const lastAnswer = { connection: 'close' };

/** Bytes that one compressed byte can stand for at most: deflate spends 2 bits on 258 bytes. */
export const gzipRatioMax = 1_032;

/**
 * Reads a whole body and decodes it, or refuses it: 413 when it is longer than `limit` bytes, as sent or decoded, 408 when
 * it has stopped arriving, 400 when its sender broke off or it is no gzip, 415 for another encoding. Beside what it has
 * decoded it holds one buffer. A refused body is read to its end, keeping nothing, so that its sender reads the answer.
 */
export async function readBody(payload: IncomingMessage, limit: number): Promise<Buffer> {
  if (isPlain(payload)) return read(payload, limit);
  const encoding = payload.headers['content-encoding'] as string;
  if (/^(x-)?gzip$/i.test(encoding)) return read(payload, limit, createGunzip());
  const body = await read(payload, limit);
  if (body.length === 0) return body;
  const sentence = `The body has Content-Encoding: ${clip(encoding)}; what is taken is gzip, or none.`;
  throw new ApiError('unsupported_media_type', sentence, { 'accept-encoding': 'gzip' });
}

/** Whether a body comes as it is. The stand-in for the body of an unknown path has no headers. */
export function isPlain({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const encoding = headers?.['content-encoding'];
  return encoding === undefined || encoding === '' || encoding.toLowerCase() === 'identity';
}

type Refusal = (headers?: Record<string, string>) => ApiError;

function read(payload: IncomingMessage, limit: number, gunzip?: Gunzip): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let [arrived, kept] = [0, 0];
    let refusal: Refusal | undefined;
    const timer = setTimeout(() => finish((refusal ?? stalled)(lastAnswer)), limits.bodyDrainMsMax);
    const finish = (error?: ApiError) => {
      clearTimeout(timer);
      payload.removeAllListeners('data');
      gunzip?.destroy();
      if (error) reject(error);
      else resolve(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, kept));
      // The request keeps its listeners, and so these, until it is answered.
      parts.length = 0;
    };
    /** Keeps and decodes nothing any more, and answers when all has arrived. */
    const giveUp = (why: Refusal) => {
      refusal = why;
      parts.length = 0;
      gunzip?.destroy();
      if (payload.readableEnded) finish(why());
      else payload.resume();
    };
    const keep = (part: Buffer) => {
      kept += part.length;
      if (kept <= limit) parts.push(part);
      else giveUp(tooLarge(limit));
    };
    payload.on('data', (part: Buffer) => {
      arrived += part.length;
      if (arrived > limit + limits.bodyDrainBytesMax) finish((refusal ?? tooLarge(limit))(lastAnswer));
      else if (refusal !== undefined) return;
      else if (arrived > limit) giveUp(tooLarge(limit));
      else {
        timer.refresh();
        if (gunzip === undefined) keep(part);
        else if (!gunzip.write(part)) payload.pause();
      }
    });
    payload.on('end', () => {
      if (refusal !== undefined) finish(refusal());
      else if (gunzip === undefined || arrived === 0) finish();
      else gunzip.end();
    });
    payload.on('error', () => finish(brokenOff(lastAnswer)));
    gunzip?.on('drain', () => payload.resume());
    gunzip?.on('data', keep);
    gunzip?.on('end', () => finish());
    gunzip?.on('error', (error) => giveUp(noGzip(error)));
    if (payload.destroyed) finish(brokenOff(lastAnswer));
  });
}

const tooLarge =
  (limit: number): Refusal =>
  (headers) =>
    new ApiError('body_too_large', `The body is larger than the limit of ${limit} bytes (BODY_LIMIT_BYTES).`, headers);

const brokenOff: Refusal = (headers) => new ApiError('bad_request', 'The body broke off.', headers);

const noGzip =
  ({ message }: Error): Refusal =>
  (headers) =>
    new ApiError('bad_request', `The body is not valid gzip (${message}).`, headers);

const stalled: Refusal = (headers) =>
  new ApiError('timeout', `Nothing of the body arrived for ${limits.bodyDrainMsMax / 1_000} s.`, headers);
