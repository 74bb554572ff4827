import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { describeRequest, kindOf } from './described-request.ts';
import type { RefusalLog } from './refusal-log.ts';

/** The values of ACCESS_LOG. */
export type AccessLog = 'off' | 'usual' | 'all';

/**
 * Logs answered requests, one line each: who sent it from where, the route, and the duration. Refused requests have a
 * line of the error handler already. `usual` leaves out the frequent routes: chunks, and open routes, which are polled.
 * Call it before routes are registered: it adds its hook only to routes that are logged. One hook for all routes, which
 * looks up the route of each request, took 5 % more processor time of the HTTP part for each chunk.
 */
export function logAnswers(app: FastifyInstance, accessLog: AccessLog, budget: RefusalLog): void {
  if (accessLog === 'off') return;
  const log = (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
    const status = reply.statusCode;
    if (!request.isNoted && budget.takes(status, request.identity === undefined, () => kindOf(request)))
      request.log.info({ status, ...describeRequest(request, reply) }, 'answered');
    done();
  };
  app.addHook('onRoute', (route) => {
    if (accessLog === 'all' || !isFrequent(route.config)) route.onResponse = [route.onResponse ?? [], log].flat();
  });
}

function isFrequent({ readBody, open, readsSecret }: FastifyContextConfig = {}): boolean {
  return readBody !== undefined || (open === true && readsSecret !== true);
}
