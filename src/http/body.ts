import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { limits } from '../config.ts';
import { ApiError } from '../errors.ts';

/**
 * Reads JSON bodies. Fastify's own reader answers an over-long body at once and closes the socket, so the client sees a
 * reset instead of the 413; this one reads on, keeping nothing, and answers when the client listens.
 * An empty body is no body (finalize comes with a JSON content type and nothing in it).
 */
export function readJsonBodies(app: FastifyInstance, bodyLimitBytes: number): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(/^application\/([\w.-]+\+)?json\b/, async (_request: unknown, payload: IncomingMessage) =>
    parseJson(await readBody(payload, bodyLimitBytes)),
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

async function readBody(payload: IncomingMessage, limit: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  const deadline = setTimeout(() => payload.destroy(new Error('the body stalled')), limits.bodyDrainMsMax);
  try {
    for await (const part of payload as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes <= limit) {
        parts.push(part);
        deadline.refresh();
      } else {
        parts.length = 0;
        if (bytes > limit + limits.bodyDrainBytesMax) break;
      }
    }
  } finally {
    clearTimeout(deadline);
  }
  if (bytes > limit) {
    throw new ApiError('body_too_large', `The body is larger than the limit of ${limit} bytes (BODY_LIMIT_BYTES).`);
  }
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, bytes);
}

/**
 * @returns undefined for an empty body
 * @throws ApiError 400 for what is not UTF-8 or not JSON; the text of the body is not echoed.
 */
function parseJson(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  if (!isUtf8(body)) throw new ApiError('bad_request', 'The body is not valid UTF-8.');
  const hasByteOrderMark = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  try {
    return JSON.parse(body.toString('utf8', hasByteOrderMark ? 3 : 0));
  } catch (error) {
    const position = /at position \d+/.exec((error as Error).message)?.[0] ?? 'at its end';
    throw new ApiError('bad_request', `The body is not valid JSON (${position}).`);
  }
}
