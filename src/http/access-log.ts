import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { describeRequest, kindOf } from './described-request.ts';
import type { RefusalLog } from './refusal-log.ts';

/** What ACCESS_LOG may be. */
export type AccessLog = 'off' | 'usual' | 'all';

/**
 * Logs answered requests, one line each, with who asked for what from where, and how long it took; refused ones have a line already.
 * `usual` leaves out the routes that are asked all the time: chunks, and the open ones, which are polled. Call it before there are
 * routes: only those that are logged have the hook, since asking for the
 * route of a request in a hook of all took 5 % more of the door's processor for each chunk.
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
