import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ApiError } from '../errors.ts';
import { createFairTurns } from '../lib/fair-turns.ts';
import { type BodyPlace, createBodyRoom } from './body-room.ts';
import type { HttpLimits } from './limits.ts';
import type { Metrics } from './metrics.ts';
import { parseJson, refuseRoundedNumbers } from './parse-json.ts';
import { type BodyBounds, readBody, refuseBody, takeArrived } from './read-body.ts';
import { createReadingPace, type ReadingPace } from './reading-pace.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * Parses the bytes of a body for the handler, instead of the usual JSON parser. A route with it takes bodies up to
     * BODY_LIMIT_BYTES, every other one up to `otherBodyBytesMax`. It is not called for an empty body.
     */
    readBody?: (body: Buffer, organizationId: string) => unknown;
    /** The body contains a document that is stored unchanged, so a number that would be rounded is refused. */
    keepsDocument?: boolean;
    /** An open route that reads its body, up to `strangerBodyBytesMax`. The body is a secret, so errors never echo it. */
    readsSecret?: boolean;
  }
  interface FastifyRequest {
    /** The body's place in the room of bodies, until it is answered or `leave` is called. */
    bodyPlace: BodyPlace | undefined;
  }
}

interface BodyOptions {
  bodyLimitBytes: number;
  bodiesLimitBytes: number;
  metrics: Pick<Metrics, 'watch'>;
  limits: HttpLimits;
  /** Limits the rate at which refused bodies are read; by default a pace of its own. */
  pace?: ReadingPace;
  /** Milliseconds from any origin. */
  now?: () => number;
}

/**
 * Reads JSON bodies. Fastify's own reader answers a body that is too long at once and closes the socket, so the client
 * sees a reset instead of the 413. This one reads the rest, keeps nothing of it, and answers when the client listens.
 * An empty body counts as none (the SDK sends finalize with a JSON content type and no body). A body may be compressed
 * with gzip. All bodies that are read, parsed or held share one room, since a body of 32 MiB takes several times that
 * in memory.
 */
export function readJsonBodies(app: FastifyInstance, options: BodyOptions): void {
  const { bodiesLimitBytes, metrics, limits } = options;
  const pace = options.pace ?? createReadingPace(limits.unwantedBytesPerTurn);
  const roomOf = (bytesMax: number) =>
    createBodyRoom({
      bytesMax,
      smallMax: limits.smallBodyBytesMax,
      stepBytes: limits.roomStepBytes,
      passesMax: limits.roomPassesMax,
      turnMs: limits.roomTurnMs,
      lapsedBytesMax: limits.lapsedBytesMax,
    });
  const room = roomOf(bodiesLimitBytes);
  const strangersRoom = roomOf(limits.strangerBodiesBytesMax);
  const boundsOf = createBounds(options, pace);
  const otherLimits = { ...limits, bodyStringsMax: limits.otherBodyStringsMax, namedStrings: 'otherBodyStringsMax' };
  const parsing = createFairTurns(limits.parsedBytesPerTurn);
  metrics.watch('metrology_http_bodies_bytes', 'Bytes of request bodies in memory', () => room.state().bytes);
  metrics.watch('metrology_http_bodies_waiting', 'Requests whose body waits for room', () => room.state().waiting);
  app.decorateRequest('bodyPlace', undefined);
  // With callbacks, because this is a hot path: an async hook costs a promise for each request.
  app.addHook('preParsing', (request, _reply, payload, done) => {
    const { open, readsSecret } = request.routeOptions.config;
    if (!request.is404 && (open !== true || readsSecret === true)) return done(null, payload);
    // The sender is not authenticated here, so the body gets no room: it is not read, and is discarded after the answer.
    done(null, Readable.from([]));
  });
  app.addHook('onSend', (request, _reply, payload, done) => {
    request.bodyPlace?.leave();
    done(null, payload);
  });

  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    /^application\/([\w.-]+\+)?json\s*(;|$)/i,
    async (request: FastifyRequest, payload: IncomingMessage) => {
      const declared = Number(payload.headers?.['content-length'] ?? 0);
      const organizationId = request.identity?.organizationId ?? '';
      const { readBody: readAs, keepsDocument, readsSecret } = request.routeOptions.config;
      const isWhole = () => payload.complete === true;
      const place = (readsSecret ? strangersRoom : room).enter(organizationId, declared, isWhole);
      request.bodyPlace = place;
      const bounds = boundsOf(request);
      const body = takeArrived(payload, bounds, place) ?? (await readBody(payload, bounds, place));
      if (body.length > limits.uncountedBodyBytesMax) {
        await new Promise<void>((resolve) => parsing.run(organizationId, body.length, resolve));
      }
      if (readAs !== undefined && body.length > 0) return readAs(body, organizationId);
      const { value, text } = parseJson(body, otherLimits);
      if (keepsDocument) refuseRoundedNumbers(text);
      return value;
    },
  );
  app.addContentTypeParser('*', (request: FastifyRequest, payload: IncomingMessage) => {
    const sentence = 'The body must be JSON, with the header Content-Type: application/json.';
    return refuseBody(payload, boundsOf(request), new ApiError('unsupported_media_type', sentence));
  });
}

/** Selects the bounds of a body, by whether its route takes chunks, a stranger's secret, or something else. */
function createBounds(options: BodyOptions, pace: ReadingPace): (request: FastifyRequest) => BodyBounds {
  const { bodyLimitBytes, limits } = options;
  const ofChunks: BodyBounds = {
    bytesMax: bodyLimitBytes,
    named: 'BODY_LIMIT_BYTES',
    roomBytesMax: options.bodiesLimitBytes,
    limits,
    pace,
    now: options.now ?? performance.now.bind(performance),
  };
  const ofStrangers: BodyBounds = {
    ...ofChunks,
    bytesMax: limits.strangerBodyBytesMax,
    named: 'strangerBodyBytesMax',
    roomBytesMax: limits.strangerBodiesBytesMax,
    limits: { ...limits, bodyStallMsMax: limits.strangerBodyStallMsMax },
  };
  const named = 'otherBodyBytesMax; only chunks may be larger';
  const isBelow = limits.otherBodyBytesMax < bodyLimitBytes;
  const ofOthers = isBelow ? { ...ofChunks, bytesMax: limits.otherBodyBytesMax, named } : ofChunks;
  return ({ routeOptions: { config } }) => {
    if (config.readsSecret) return ofStrangers;
    return config.readBody === undefined ? ofOthers : ofChunks;
  };
}
