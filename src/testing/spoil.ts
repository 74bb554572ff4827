import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Hit } from './faults.ts';
import type { Action } from './wire.ts';

/*
 * Applies fault rules to requests. All waits here end when the connection ends, so that a reset of the server, which cuts
 * the connections, leaves none behind.
 */

/**
 * Applies a fault before the request is carried out.
 * @returns whether it may go on; if not, it has been answered or never will be
 */
export async function spoilRequest(
  { id, action }: Hit,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<boolean> {
  const { socket } = request.raw;
  if ('delay_ms' in action) {
    await waitOn(socket, action.delay_ms);
    if (!socket.destroyed) return true;
  }
  if ('status' in action) {
    const { payload, type } = bodyOf(action, id);
    void reply
      .code(action.status)
      .type(type)
      .headers(action.headers ?? {})
      .send(payload);
    return false;
  }
  if ('reset' in action) socket.resetAndDestroy();
  if ('hang' in action) await untilClosed(socket);
  reply.hijack();
  return false;
}

/** Applies a fault after the request was carried out. @returns the body to send instead of `payload` */
export async function spoilAnswer(
  { id, action }: Hit,
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): Promise<unknown> {
  const { socket } = request.raw;
  if ('delay_ms' in action) await waitOn(socket, action.delay_ms);
  if ('hang' in action) await untilClosed(socket);
  if ('reset' in action) {
    socket.resetAndDestroy();
    await untilClosed(socket);
  }
  if ('status' in action) {
    if (payload instanceof Readable) payload.destroy();
    const { payload: instead, type } = bodyOf(action, id);
    reply.removeHeader('content-length');
    reply
      .code(action.status)
      .type(type)
      .headers(action.headers ?? {});
    return instead;
  }
  if ('truncate_bytes' in action) return asStream(reply, payload, (body) => cut(body, action.truncate_bytes, reply));
  if ('drip_bytes_per_s' in action) return asStream(reply, payload, (body) => drip(body, action.drip_bytes_per_s));
  return payload;
}

function bodyOf({ status, body }: Extract<Action, { status: number }>, id: number): { payload: string; type: string } {
  if (typeof body === 'string') return { payload: body, type: 'text/plain; charset=utf-8' };
  const json = body ?? { detail: `The test asked for ${status} here (fault ${id}).` };
  return { payload: JSON.stringify(json), type: 'application/json; charset=utf-8' };
}

/** Keeps the announced content-length, by which a client sees that bytes are missing. */
function asStream(
  reply: FastifyReply,
  payload: unknown,
  change: (body: AsyncIterable<Buffer>) => AsyncIterable<Buffer>,
): Readable {
  if (payload instanceof Readable) return Readable.from(change(payload));
  const bytes = Buffer.isBuffer(payload) ? payload : Buffer.from(String(payload ?? ''));
  reply.header('content-length', bytes.length);
  return Readable.from(change(Readable.from([bytes])), { objectMode: false });
}

async function* cut(body: AsyncIterable<Buffer | string>, bytes: number, reply: FastifyReply): AsyncGenerator<Buffer> {
  const { socket } = reply.request.raw;
  let left = bytes;
  reply.raw.flushHeaders();
  for await (const piece of body) {
    const part = Buffer.from(piece).subarray(0, left);
    left -= part.length;
    if (part.length > 0) yield part;
    if (left === 0) break;
  }
  // The bytes are sent only in the next turn of the event loop.
  await sleep(1);
  socket.destroySoon();
  await untilClosed(socket);
}

const dripsPerSecondMax = 20;

async function* drip(body: AsyncIterable<Buffer | string>, bytesPerSecond: number): AsyncGenerator<Buffer> {
  const dropBytes = Math.max(1, Math.round(bytesPerSecond / dripsPerSecondMax));
  for await (const piece of body) {
    const bytes = Buffer.from(piece);
    for (let at = 0; at < bytes.length; at += dropBytes) {
      const drop = bytes.subarray(at, at + dropBytes);
      yield drop;
      await sleep((drop.length / bytesPerSecond) * 1_000, undefined, { ref: false });
    }
  }
}

async function waitOn(socket: Socket, ms: number): Promise<void> {
  if (socket.destroyed) return;
  const over = new AbortController();
  const { signal } = over;
  const closed = once(socket, 'close', { signal });
  await Promise.race([sleep(ms, undefined, { signal }), closed]).finally(() => over.abort());
}

/** A destroyed socket is closed a moment later. An answer that is written in between would look as if it was sent. */
async function untilClosed(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close');
}
