import http, { type IncomingMessage, type RequestListener, type ServerOptions, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { createConnectionRoom } from './connection-room.ts';
import type { HttpLimits } from './limits.ts';
import type { ReadingPace } from './reading-pace.ts';
import { commonHeaders } from './response-headers.ts';
import { createStrangersQueue } from './strangers-queue.ts';
import { drain, drainAfterAnswer } from './unread-bodies.ts';

interface Options {
  server: ServerOptions;
  limits: HttpLimits;
  /** For bodies that nobody wants. */
  pace: ReadingPace;
  /** Whether the key of a request is known, so that it is served before those of strangers. */
  knowsKey(key: string): boolean;
}

/** The server below Fastify, and what it has to be told. */
export interface Connections {
  /** For Fastify's `serverFactory`. */
  createServer(listener: RequestListener): http.Server;
  /** A known key has come on this connection: it is not closed to make room for others. */
  keep(socket: Socket): void;
}

/**
 * Serves requests in order. Each connection is served a few at a time and not read while it has sent more; and requests
 * without a known key take turns. Node alone serves all requests that it reads, of whoever sends most.
 */
export function createConnections({ server, limits, pace, knowsKey }: Options): Connections {
  const room = createConnectionRoom(limits);
  const queue = createStrangersQueue(limits.strangersPerTurnMax);
  let serve: RequestListener = () => {};

  /** One function for all answers: it comes once for each, and tells which by `this`. */
  function leave(this: ServerResponse): void {
    const next = room.leave(this.req.socket);
    // In another turn: answers that fail at once, as while the database is away, would follow each other in this one.
    if (next !== undefined) setImmediate(begin, ...next);
  }

  function begin(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    drainAfterAnswer(request, response, limits, pace);
    response.on('close', leave);
    const key = request.headers['x-api-key'];
    if (typeof key === 'string' && knowsKey(key)) {
      room.keep(socket);
      serve(request, response);
    } else {
      queue.push(() => {
        if (!socket.destroyed) serve(request, response);
      });
    }
  }

  /** The answer ends, and with it the connection, when the body has been read: its sender would see a reset before. */
  function refuseHeaders(request: IncomingMessage, response: ServerResponse): void {
    const body = JSON.stringify({ detail: `The request has more than ${limits.headersMax} headers (headersMax).` });
    response.writeHead(431, {
      ...commonHeaders,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    });
    response.write(body);
    request.once('end', () => response.end());
    drain(request, limits, pace);
  }

  const listener: RequestListener = (request, response) => {
    // Node leaves out headers beyond its own bound without a word, so that nothing of such a request may be acted upon.
    if (request.rawHeaders.length > 2 * limits.headersMax) refuseHeaders(request, response);
    else if (room.enter([request, response])) begin(request, response);
  };

  return {
    keep: room.keep,
    createServer(given) {
      serve = given;
      const made = http.createServer({ ...server, headersTimeout: limits.headersMsMax }, listener);
      // Who has sent all may say so at once (`nc -N`, small stacks) and still reads: by itself Node would close, and answer nothing.
      Object.assign(made, { httpAllowHalfOpen: true });
      // One more than is taken shows that there were too many.
      made.maxHeadersCount = limits.headersMax + 1;
      made.setTimeout(limits.connectionSilentMsMax);
      made.on('connection', room.open);
      return made;
    },
  };
}
