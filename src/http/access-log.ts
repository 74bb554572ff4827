import type { FastifyInstance, FastifyRequest } from 'fastify';
import { describeRequest, kindOf } from './described-request.ts';
import type { RefusalLog } from './refusal-log.ts';

/** What ACCESS_LOG may be. */
export const accessLogs = ['off', 'usual', 'all'] as const;
export type AccessLog = (typeof accessLogs)[number];

/**
 * Logs answered requests, one line each, with who asked for what from where, and how long it took; refused ones have a line already.
 * `usual` leaves out what comes all the time and was answered well: chunks, and the open routes, which are polled.
 */
export function logAnswers(app: FastifyInstance, accessLog: AccessLog, budget: RefusalLog): void {
  if (accessLog === 'off') return;
  const isAll = accessLog === 'all';
  app.addHook('onResponse', (request, reply, done) => {
    const status = reply.statusCode;
    // First what nearly every request is, since this is on the way of each chunk.
    const isLeftOut = !isAll && status < 400 && isFrequent(request);
    if (!isLeftOut && !request.isNoted) {
      const isStranger = request.identity === undefined;
      if (budget.takes(status, isStranger, () => kindOf(request)))
        request.log.info({ status, ...describeRequest(request, reply) }, 'answered');
    }
    done();
  });
}

function isFrequent(request: FastifyRequest): boolean {
  const { readBody, open, readsSecret } = request.routeOptions.config;
  return readBody !== undefined || (open === true && readsSecret !== true);
}
