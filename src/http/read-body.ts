import type { IncomingMessage } from 'node:http';
import { createGunzip, type Gunzip } from 'node:zlib';
import { ApiError, clip } from '../errors.ts';
import { lastAnswer, startBodyClock } from './body-clock.ts';
import type { BodyPlace } from './body-room.ts';
import { askForBody, isAwaited } from './expectations.ts';
import type { HttpLimits } from './limits.ts';
import type { ReadingPace } from './reading-pace.ts';

export interface BodyBounds {
  /** Bytes of a body, as sent or decoded, and what this limit is called. */
  bytesMax: number;
  named: string;
  /** Bytes of the room in which it waits for others. */
  roomBytesMax: number;
  limits: HttpLimits;
  /** For what is only read so that its sender reads the refusal. */
  pace: ReadingPace;
  /** Milliseconds from any origin. */
  now(): number;
}

/**
 * The body of nearly every chunk has arrived with its headers, before anybody asks for it: then nothing has to be waited for,
 * and there is nothing to watch.
 * @returns undefined for any other body, of which nothing was read; so for one that there is no room for now
 */
export function takeArrived(payload: IncomingMessage, bounds: BodyBounds, place: BodyPlace): Buffer | undefined {
  const { readableLength } = payload;
  const isWhole = readableLength > 0 && readableLength === Number(payload.headers?.['content-length']);
  if (!isWhole || readableLength > Math.min(bounds.limits.smallBodyBytesMax, bounds.bytesMax)) return undefined;
  if (payload.destroyed || !isPlain(payload) || !place.takeWhole(readableLength)) return undefined;
  const body = payload.read() as Buffer;
  askForBody(payload);
  // So that the request ends, which it has not yet.
  payload.resume();
  return body;
}

/**
 * Reads a whole body and decodes it, or refuses it: 413 when it is longer than `bytesMax`, as sent or decoded, 408 when
 * it has stopped arriving or is too slow, 400 when its sender broke off or it is no gzip, 415 for another encoding, 503 when it
 * has waited too long for room. What it holds is counted in its place; beside that it holds one buffer. A refused body is read
 * to its end, keeping nothing, so that its sender reads the answer.
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
 * Reads a body of which nothing is wanted, keeping nothing; one that waits to be asked for is not.
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

/** Whether a body comes as it is. */
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
      // The request keeps its listeners, and so these, until it is answered.
      parts.length = 0;
    };
    /** Keeps and decodes nothing any more, and answers when all has arrived. */
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
