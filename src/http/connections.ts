import http, {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import { createFairTurns } from '../lib/fair-turns.ts';
import { createPieceCollector } from './body-pieces.ts';
import { resetWhenBroken } from './broken-answers.ts';
import { createConnectionRoom } from './connection-room.ts';
import { noteExpectation } from './expectations.ts';
import type { HttpLimits } from './limits.ts';
import type { ReadingPace } from './reading-pace.ts';
import { commonHeaders } from './response-headers.ts';
import { createDrainAfterAnswer, drain } from './unread-bodies.ts';

interface Options {
  server: ServerOptions;
  limits: HttpLimits;
  /** For bodies that nobody wants. */
  pace: ReadingPace;
  /** The organization of a key or a session that is known; undefined for any other. */
  organizationOf(headers: IncomingHttpHeaders): string | undefined;
}

/** The server below Fastify, and what it has to be told. */
export interface Connections {
  /** For Fastify's `serverFactory`. */
  createServer(listener: RequestListener): http.Server;
  /** A known key has come on this connection: it is not closed to make room for others. */
  keep(socket: Socket, organizationId: string): void;
}

/**
 * Serves requests in order. Each connection is served a few at a time and not read while it has sent more. In a turn of the
 * event loop some requests of known keys are begun, of each organization in turn, and some without; the rest wait for the
 * next. Node alone serves all requests that it reads, of whoever sends most.
 */
export function createConnections({ server, limits, pace, organizationOf }: Options): Connections {
  const room = createConnectionRoom({ limits, refuseHead: (socket, code) => refuseHead(socket, code) });
  const known = createFairTurns(limits.requestsPerTurnMax);
  const strangers = createFairTurns(limits.strangersPerTurnMax);
  const collectPieces = createPieceCollector(limits.bodyPiecesPerTurn, {
    onMany: room.brings,
    onPart: room.partHasCome,
  });
  const drainAfterAnswer = createDrainAfterAnswer(limits, pace);
  let serve: RequestListener = () => {};
  let refuseHead = (socket: Socket, _code: string): unknown => socket.destroy();

  /** One function for all answers: it comes once for each, and tells which by `this`. */
  function leave(this: ServerResponse): void {
    const next = room.leave(this.req);
    // In another turn: answers that fail at once, as while the database is away, would follow each other in this one.
    if (next !== undefined) setImmediate(begin, ...next);
  }

  function begin(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    drainAfterAnswer(response);
    resetWhenBroken(request, response);
    response.on('close', leave);
    const organizationId = organizationOf(request.headers);
    const serveIt = () => {
      if (!socket.destroyed) serve(request, response);
    };
    if (organizationId === undefined) return void strangers.run('', 1, serveIt);
    room.keep(socket, organizationId);
    known.run(organizationId, 1, serveIt);
  }

  /** The answer ends, and with it the connection, when the body has been read: its sender would see a reset before. */
  function refuse(request: IncomingMessage, response: ServerResponse, status: number, detail: string): void {
    const body = JSON.stringify({ detail });
    response.writeHead(status, {
      ...commonHeaders,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    });
    response.write(body);
    request.once('end', () => response.end());
    drain(request, limits, pace);
    // To parse 20,000 of them takes 8 ms.
    room.costs(request.socket);
  }

  const listener: RequestListener = (request, response) => {
    room.headHasCome(request);
    collectPieces(request);
    // Node leaves out headers beyond its own bound without a word, so that nothing of such a request may be acted upon.
    if (request.rawHeaders.length > 2 * limits.headersMax) {
      // Nor is it known how long its body is.
      room.fail(request.socket);
      refuse(request, response, 431, `The request has more than ${limits.headersMax} headers (headersMax).`);
    } else if (isLongPath(request.url as string, limits)) {
      refuse(request, response, 414, `The path is longer than ${limits.pathLengthMax} characters (pathLengthMax).`);
    } else if (room.enter([request, response])) begin(request, response);
  };

  return {
    keep: room.keep,
    createServer(given) {
      serve = given;
      const made = http.createServer({ ...server, headersTimeout: limits.headersMsMax }, listener);
      setBounds(made, limits);
      made.on('connection', room.open);
      made.on('clientError', (_error, socket: Socket) => room.fail(socket));
      // As Node tells of a head that is too long.
      refuseHead = (socket, code) => made.emit('clientError', Object.assign(new Error(), { code }), socket);
      // Node alone tells everybody to send, whoever it is.
      made.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
        noteExpectation(request, response);
        made.emit('request', request, response);
      });
      return made;
    },
  };
}

function isLongPath(url: string, { pathLengthMax }: HttpLimits): boolean {
  return url.length > pathLengthMax && !url.slice(0, pathLengthMax + 1).includes('?');
}

function setBounds(made: http.Server, limits: HttpLimits): void {
  // Who has sent all may say so at once (`nc -N`, small stacks) and still reads: by itself Node would close, and answer nothing.
  // The room says when a connection is read for the first time.
  Object.assign(made, { httpAllowHalfOpen: true, pauseOnConnect: true });
  // One more than is taken shows that there were too many.
  made.maxHeadersCount = limits.headersMax + 1;
  made.setTimeout(limits.connectionSilentMsMax);
}
