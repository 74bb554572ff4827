import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { limits } from '../config.ts';
import { ApiError, clip, unavailable } from '../errors.ts';
import { createByteGate } from '../lib/byte-gate.ts';
import { duplicateName } from '../lib/duplicate-names.ts';
import type { Metrics } from './metrics.ts';
import { gzipRatioMax, isPlain, lastAnswer, readBody } from './read-body.ts';

interface BodyOptions {
  bodyLimitBytes: number;
  bodiesLimitBytes: number;
  metrics: Pick<Metrics, 'watch'>;
}

/**
 * Reads JSON bodies. Fastify's own reader answers an over-long body at once and closes the socket, so the client sees a
 * reset instead of the 413; this one reads on, keeping nothing, and answers when the client listens.
 * An empty body is no body (finalize comes with a JSON content type and nothing in it). A body may come compressed with gzip.
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

/** Of a body over the limit nothing is kept; one of unknown length may reach it, a compressed one as far as gzip goes. */
function bytesToKeep(request: IncomingMessage, bodyLimitBytes: number): number {
  const { headers } = request;
  if (headers['transfer-encoding'] !== undefined) return bodyLimitBytes;
  const declared = Number(headers['content-length'] ?? 0);
  if (declared > bodyLimitBytes) return 0;
  return isPlain(request) ? declared : Math.min(declared * gzipRatioMax, bodyLimitBytes);
}

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
