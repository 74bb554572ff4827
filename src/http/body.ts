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
     * Makes of the bytes of a body what the handler gets, instead of what JSON says; such a route takes bodies up to
     * BODY_LIMIT_BYTES, every other one up to `otherBodyBytesMax`. It gets no empty body.
     */
    readBody?: (body: Buffer, organizationId: string) => unknown;
    /** Something of the body is a document of the client, kept as it is: a number that would be rounded is refused. */
    keepsDocument?: boolean;
    /** An open route that reads its body all the same, up to `strangerBodyBytesMax`. Nothing of it is echoed: it is a secret. */
    readsSecret?: boolean;
  }
  interface FastifyRequest {
    /** What the body takes of the room, from its first byte until it is answered or said to be held no more. */
    bodyPlace: BodyPlace | undefined;
  }
}

interface BodyOptions {
  bodyLimitBytes: number;
  bodiesLimitBytes: number;
  metrics: Pick<Metrics, 'watch'>;
  limits: HttpLimits;
  /** For bodies that are refused; by default one of its own. */
  pace?: ReadingPace;
  /** Milliseconds from any origin. */
  now?: () => number;
}

/**
 * Reads JSON bodies. Fastify's own reader answers an over-long body at once and closes the socket, so the client sees a
 * reset instead of the 413; this one reads on, keeping nothing, and answers when the client listens.
 * An empty body is no body (finalize comes with a JSON content type and nothing in it). A body may come compressed with gzip.
 * The bytes of all bodies that are read, parsed or held have one room: a body of 32 MiB takes several times that.
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
  // With callbacks, as the hot path has it: an async hook costs a promise for each request.
  app.addHook('preParsing', (request, _reply, payload, done) => {
    const { open, readsSecret } = request.routeOptions.config;
    if (!request.is404 && (open !== true || readsSecret === true)) return done(null, payload);
    // Nobody has asked who sends it, so it takes no room: it is thrown away when it has been answered.
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

/** The bounds of a body, by who sends it and whether it brings chunks. */
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
