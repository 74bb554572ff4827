import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { limits } from '../config.ts';
import { ApiError, clip, unavailable } from '../errors.ts';
import { createByteGate } from '../lib/byte-gate.ts';
import { duplicateName } from '../lib/duplicate-names.ts';
import type { Metrics } from './metrics.ts';

interface BodyOptions {
  bodyLimitBytes: number;
  bodiesLimitBytes: number;
  metrics: Pick<Metrics, 'watch'>;
}

/**
 * Reads JSON bodies. Fastify's own reader answers an over-long body at once and closes the socket, so the client sees a
 * reset instead of the 413; this one reads on, keeping nothing, and answers when the client listens.
 * An empty body is no body (finalize comes with a JSON content type and nothing in it).
 */
export function readJsonBodies(app: FastifyInstance, { bodyLimitBytes, bodiesLimitBytes, metrics }: BodyOptions): void {
  letBodiesIn(app, { bodyLimitBytes, bodiesLimitBytes, metrics });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    /^application\/([\w.-]+\+)?json\s*(;|$)/i,
    async (_request: unknown, payload: IncomingMessage) => parseJson(await readBody(payload, bodyLimitBytes)),
  );
  app.addContentTypeParser('*', async (_request: unknown, payload: IncomingMessage) => {
    const body = await readBody(payload, bodyLimitBytes);
    if (body.length === 0) return undefined;
    throw new ApiError(
      'unsupported_media_type',
      'The body must be JSON, with the header Content-Type: application/json.',
    );
  });
}

/**
 * Bounds the bytes of bodies that are read, parsed or stored at one time: a body of 32 MiB takes several times that until
 * it is answered. The others are not read yet, and their senders wait.
 */
function letBodiesIn(app: FastifyInstance, { bodyLimitBytes, bodiesLimitBytes, metrics }: BodyOptions): void {
  const late = () =>
    unavailable(
      `More than ${bodiesLimitBytes} bytes of requests are under way (BODIES_LIMIT_BYTES); nothing was stored.`,
      lastAnswer,
    );
  const gateOptions = { bytesMax: bodiesLimitBytes, waitMsMax: limits.queueMsMax, late };
  // Two gates, each with the whole bound: a few large bodies that arrive slowly must not keep all small ones waiting.
  const [smallBodies, largeBodies] = [createByteGate(gateOptions), createByteGate(gateOptions)];
  const total = (of: 'bytes' | 'waiting') => () => smallBodies.state()[of] + largeBodies.state()[of];
  metrics.watch('metrology_http_bodies_bytes', 'Bytes of request bodies in memory', total('bytes'));
  metrics.watch('metrology_http_bodies_waiting', 'Requests whose body waits for room', total('waiting'));
  app.addHook('preParsing', async (request, reply, payload) => {
    // Nobody has asked who sends it, so it takes no room: it is thrown away as it arrives.
    if (request.is404) {
      payload.resume();
      return Readable.from([]);
    }
    const bytes = bytesToKeep(request.raw, bodyLimitBytes);
    if (bytes === 0) return;
    const gate = bytes <= limits.smallBodyBytesMax ? smallBodies : largeBodies;
    const leave = await gate.enter(bytes);
    const { socket } = request.raw;
    const end = () => {
      socket.off('close', end);
      leave();
    };
    // An answer that still stands behind another one on its connection is not told when that is cut.
    socket.once('close', end);
    reply.raw.once('finish', end).once('close', end);
    if (socket.destroyed) end();
  });
}

/** Of a body over the limit nothing is kept; one of unknown length may reach it. */
function bytesToKeep({ headers }: IncomingMessage, bodyLimitBytes: number): number {
  if (headers['transfer-encoding'] !== undefined) return bodyLimitBytes;
  const declared = Number(headers['content-length'] ?? 0);
  return declared <= bodyLimitBytes ? declared : 0;
}

/**
 * Reads a whole body, or refuses it: 413 when it is longer than `limit` bytes, 408 when it has stopped arriving, 400
 * when its sender broke off. What is left unread closes the connection after the answer.
 */
function readBody(payload: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(
      () => finish(bytes > limit ? tooLarge(limit, lastAnswer) : stalled()),
      limits.bodyDrainMsMax,
    );
    const finish = (refusal?: ApiError) => {
      clearTimeout(timer);
      payload.removeAllListeners('data');
      if (refusal) reject(refusal);
      else resolve(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, bytes));
    };
    payload.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes <= limit) {
        parts.push(part);
        timer.refresh();
        return;
      }
      parts.length = 0;
      if (bytes > limit + limits.bodyDrainBytesMax) finish(tooLarge(limit, lastAnswer));
    });
    payload.on('end', () => finish(bytes > limit ? tooLarge(limit) : undefined));
    payload.on('error', () => finish(brokenOff()));
    if (payload.destroyed) finish(brokenOff());
  });
}

const lastAnswer = { connection: 'close' };

const tooLarge = (limit: number, headers?: Record<string, string>) =>
  new ApiError('body_too_large', `The body is larger than the limit of ${limit} bytes (BODY_LIMIT_BYTES).`, headers);

const brokenOff = () => new ApiError('bad_request', 'The body broke off.', lastAnswer);

const stalled = () =>
  new ApiError('timeout', `Nothing of the body arrived for ${limits.bodyDrainMsMax / 1_000} s.`, lastAnswer);

/**
 * @returns undefined for an empty body
 * @throws ApiError 400 for what is not UTF-8, not JSON, or names one field twice, of which one would be lost; but for that
 *   name, the text of the body is not echoed.
 */
function parseJson(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  if (!isUtf8(body)) throw new ApiError('bad_request', 'The body is not valid UTF-8.');
  const hasByteOrderMark = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  const text = body.toString('utf8', hasByteOrderMark ? 3 : 0);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const position = /at position \d+/.exec((error as Error).message)?.[0] ?? 'at its end';
    throw new ApiError('bad_request', `The body is not valid JSON (${position}).`);
  }
  const name = duplicateName(text, value);
  if (name === undefined) return value;
  throw new ApiError(
    'bad_request',
    `The name "${clip(name)}" stands twice in one object of the body; nothing was stored.`,
  );
}
