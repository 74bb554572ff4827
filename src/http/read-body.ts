import type { IncomingMessage } from 'node:http';
import { createGunzip, type Gunzip } from 'node:zlib';
import { ApiError, clip } from '../errors.ts';
import { lastAnswer, startBodyClock } from './body-clock.ts';
import type { BodyPlace } from './body-room.ts';
import { askForBody, isAwaited } from './expectations.ts';
import type { HttpLimits } from './limits.ts';
import type { ReadingPace } from './reading-pace.ts';

export interface BodyBounds {
  /** Bytes of a body, as sent or decoded. */
  bytesMax: number;
  /** Name of that limit in the error. */
  named: string;
  /** Bytes of the room that the body shares with others. */
  roomBytesMax: number;
  limits: HttpLimits;
  /** Limits the rate at which a refused body is read. */
  pace: ReadingPace;
  /** Milliseconds from any origin. */
  now(): number;
}

/**
 * The fast path: the body of nearly every chunk has arrived with its headers. Then it is taken without a wait and
 * without a clock.
 * @returns undefined, without reading anything, for any other body and for one that there is no room for now
 */
export function takeArrived(payload: IncomingMessage, bounds: BodyBounds, place: BodyPlace): Buffer | undefined {
  const { readableLength } = payload;
  const isWhole = readableLength > 0 && readableLength === Number(payload.headers?.['content-length']);
  if (!isWhole || readableLength > Math.min(bounds.limits.smallBodyBytesMax, bounds.bytesMax)) return undefined;
  if (payload.destroyed || !isPlain(payload) || !place.takeWhole(readableLength)) return undefined;
  const body = payload.read() as Buffer;
  askForBody(payload);
  // The stream must be read to its end, or the request would not end.
  payload.resume();
  return body;
}

/**
 * Reads a whole body and decodes it. The bytes that it holds are counted in its place, all but one buffer. A refused
 * body is read to its end and discarded, so that its sender reads the answer.
 * @throws ApiError 413 when it is longer than `bytesMax`, as sent or decoded, 408 when it stops arriving or is too
 * slow, 400 when its sender breaks off or it is not valid gzip, 415 for another encoding, 503 when it has waited too
 * long for room
 */
export async function readBody(payload: IncomingMessage, bounds: BodyBounds, place: BodyPlace): Promise<Buffer> {
  if (isPlain(payload)) return read(payload, bounds, place);
  const encoding = payload.headers['content-encoding'] as string;
  if (/^(x-)?gzip$/i.test(encoding)) return read(payload, bounds, place, createGunzip());
  const sentence = `The body has Content-Encoding: ${clip(encoding)}; what is taken is gzip, or none.`;
  await refuseBody(payload, bounds, new ApiError('unsupported_media_type', sentence, { 'accept-encoding': 'gzip' }));
  return Buffer.alloc(0);
}

/**
 * Refuses a body. Reads and discards it, unless its client still waits for `100 Continue`.
 * @throws `refusal`, unless the body is empty
 */
export async function refuseBody(payload: IncomingMessage, bounds: BodyBounds, refusal: ApiError): Promise<void> {
  if (isAwaited(payload)) throw refusal;
  let arrived = 0;
  const take = (bytes: number) => {
    arrived += bytes;
    return true;
  };
  await read(payload, bounds, { take, leave() {} });
  if (arrived > 0) throw refusal;
}

/** Whether a body has no content encoding. */
function isPlain({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const encoding = headers?.['content-encoding'];
  return encoding === undefined || encoding === '' || encoding.toLowerCase() === 'identity';
}

type Refusal = (headers?: Record<string, string>) => ApiError;

function read(
  payload: IncomingMessage,
  bounds: BodyBounds,
  place: Pick<BodyPlace, 'take' | 'leave'>,
  gunzip?: Gunzip,
): Promise<Buffer> {
  const { bytesMax, limits } = bounds;
  const tooLarge: Refusal = (headers) =>
    new ApiError(
      'body_too_large',
      `The body is larger than the limit of ${bytesMax} bytes (${bounds.named}).`,
      headers,
    );
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let [arrived, kept] = [0, 0];
    let refusal: Refusal | undefined;
    let drain: NodeJS.Timeout | undefined;
    const source = gunzip ?? payload;
    const clock = startBodyClock({ ...bounds, onLate: (late) => finish(late) });
    const finish = (error?: ApiError) => {
      clock.stop();
      clearTimeout(drain);
      payload.removeAllListeners('data');
      gunzip?.destroy();
      if (error) reject(error);
      else resolve(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, kept));
      // The request keeps its listeners until it is answered, and they keep this array: so it is emptied.
      parts.length = 0;
    };
    /** Refuses the body: discards what was kept, reads the rest, and answers when all has arrived. */
    const giveUp = (why: Refusal) => {
      refusal = why;
      parts.length = 0;
      clock.stop();
      place.leave();
      gunzip?.destroy();
      if (payload.readableEnded) return finish(why());
      drain = setTimeout(() => finish(why(lastAnswer)), limits.bodyDrainMsMax);
      payload.resume();
    };
    const goOn = () => {
      clock.goOn();
      source.resume();
    };
    const waitForRoom = () => {
      clock.wait();
      source.pause();
    };
    const keep = (part: Buffer) => {
      kept += part.length;
      if (kept > bytesMax) return giveUp(tooLarge);
      parts.push(part);
      if (!place.take(part.length, goOn)) waitForRoom();
    };
    if (!place.take(0, goOn)) waitForRoom();
    payload.on('data', (part: Buffer) => {
      arrived += part.length;
      if (arrived > bytesMax + limits.bodyDrainBytesMax) return finish((refusal ?? tooLarge)(lastAnswer));
      if (refusal !== undefined) return bounds.pace.took(payload, part.length);
      clock.arrived(part.length);
      if (arrived > bytesMax) giveUp(tooLarge);
      else if (gunzip === undefined) keep(part);
      else if (!gunzip.write(part)) payload.pause();
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
    const isTooLarge = Number(payload.headers?.['content-length']) > bytesMax;
    if (payload.destroyed) finish(brokenOff(lastAnswer));
    else if (isTooLarge && isAwaited(payload)) finish(tooLarge(lastAnswer));
    else if (isTooLarge) giveUp(tooLarge);
    else askForBody(payload);
  });
}

const brokenOff: Refusal = (headers) => new ApiError('bad_request', 'The body broke off.', headers);

const noGzip =
  ({ message }: Error): Refusal =>
  (headers) =>
    new ApiError('bad_request', `The body is not valid gzip (${message}).`, headers);
