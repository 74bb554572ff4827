import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Standing, StandingLog } from '../database/standing.ts';
import { unavailable } from '../errors.ts';

/**
 * While this server may not store (database/standing.ts), refuses every request that would store something with 503.
 * The answer of a request that was stored meanwhile is replaced by 503 before it is sent, because an acknowledgement is
 * a promise. Reads are still answered as far as they can be. A server that listens checks its standing periodically. An
 * unknown error (500) causes a check at once, since the cause of both may be the same; then the answer is 503 with the
 * result of the check.
 */
export function refuseWithoutStanding(app: FastifyInstance, standing: Standing, log: StandingLog): void {
  let stop = () => {};
  app.addHook('onListen', async () => {
    stop = standing.watch(log);
  });
  app.addHook('onClose', async () => stop());
  // With callbacks: an async hook costs a promise for each chunk.
  app.addHook('preHandler', (request, _reply, done) => {
    const refusal = request.method === 'GET' || request.is404 ? undefined : standing.refusal();
    if (refusal === undefined) done();
    else done(unavailable(`${refusal} Nothing was stored.`));
  });
  app.addHook('onSend', (request, reply, payload, done) => {
    if (reply.statusCode === 500) {
      explain(reply, standing).then((sentence) => done(null, sentence ?? payload), done);
      return;
    }
    const isStored = request.method !== 'GET' && reply.statusCode < 300;
    const refusal = isStored ? standing.refusal() : undefined;
    if (refusal === undefined) done(null, payload);
    else done(unavailable(`${refusal} The request may have been stored: send it again later.`));
  });
}

/**
 * Checks the standing after an unknown error.
 * @returns the body of the 503 that replaces the answer; undefined when all is well
 */
async function explain(reply: FastifyReply, standing: Standing): Promise<string | undefined> {
  const problem = await standing.look(0);
  if (problem === undefined) return undefined;
  const { status, headers, detail } = unavailable(problem);
  reply.code(status).headers(headers);
  return JSON.stringify({ detail });
}
