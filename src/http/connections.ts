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
  /** For bodies that no handler reads. */
  pace: ReadingPace;
  /** The organization of a key or a session that is known; undefined for any other. */
  organizationOf(headers: IncomingHttpHeaders): string | undefined;
}

/** The HTTP server below Fastify, and what others report to it. */
export interface Connections {
  /** For Fastify's `serverFactory`. */
  createServer(listener: RequestListener): http.Server;
  /** A known key has come on this connection. From now on it is not closed to make room for connections without one. */
  keep(socket: Socket, organizationId: string): void;
}

/**
 * Decides when each request begins. A few requests of a connection are served at a time, and while it has sent more it is not read.
 * In one turn of the event loop a bounded number of requests with known keys begins, of each organization in turn, and a bounded
 * number without; the rest wait for the next turn. Node alone would begin every request as soon as it is read, so that whoever
 * sends most is served most.
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

  /** The `close` listener of every answer, as one shared function: `this` is the answer. */
  function leave(this: ServerResponse): void {
    const next = room.leave(this.req);
    // In another turn of the event loop: while the database is away answers fail at once, and all of them would follow in this turn.
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

  /**
   * Refuses a request before Fastify sees it. The answer and the connection end only when the body has been read; if they ended
   * earlier, the sender would see a reset instead of the answer.
   */
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
    // Parsing 20,000 headers takes 8 ms.
    room.costs(request.socket);
  }

  const listener: RequestListener = (request, response) => {
    room.headHasCome(request);
    collectPieces(request);
    // Node silently drops headers beyond `maxHeadersCount`, so the rest of such a request cannot be relied on.
    if (request.rawHeaders.length > 2 * limits.headersMax) {
      // The header with the length of the body may be among the dropped ones.
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
      // In the same way as Node reports a head that is too long.
      refuseHead = (socket, code) => made.emit('clientError', Object.assign(new Error(), { code }), socket);
      // By itself Node answers `100 Continue` to every client.
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
  // `httpAllowHalfOpen`: a client may end its side right after its request (`nc -N`, small stacks) and still read. Node would close
  // the connection without an answer. `pauseOnConnect`: the room decides when a connection is read for the first time.
  Object.assign(made, { httpAllowHalfOpen: true, pauseOnConnect: true });
  // One more than is allowed, which shows that there were too many.
  made.maxHeadersCount = limits.headersMax + 1;
  made.setTimeout(limits.connectionSilentMsMax);
}
