import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Readiness, ReadinessLog } from '../database/readiness.ts';
import { unavailable } from '../errors.ts';

/**
 * Refuses whatever would store something while this server may not go on (database/readiness.ts), and takes back the answer
 * of what was stored meanwhile, before it leaves: an acknowledgement is a promise. Reads are answered as long as they can be.
 * A server that listens looks by itself; and what fails for no known reason may have met what the next look would find.
 */
export function refuseUnlessReady(app: FastifyInstance, readiness: Readiness, log: ReadinessLog): void {
  let stop = () => {};
  // Not the hook `onListen`: it runs only where Fastify itself listens, and the sockets of a server come from its parent.
  app.server.once('listening', () => {
    stop = readiness.watch(log);
  });
  app.addHook('onClose', async () => stop());
  // With callbacks: an async hook costs a promise for each chunk.
  app.addHook('preHandler', (request, _reply, done) => {
    const refusal = request.method === 'GET' || request.is404 ? undefined : readiness.refusal();
    if (refusal === undefined) done();
    else done(unavailable(`${refusal} Nothing was stored.`));
  });
  app.addHook('onSend', (request, reply, payload, done) => {
    if (reply.statusCode === 500) {
      explain(reply, readiness).then((sentence) => done(null, sentence ?? payload), done);
      return;
    }
    const isStored = request.method !== 'GET' && reply.statusCode < 300;
    const refusal = isStored ? readiness.refusal() : undefined;
    if (refusal === undefined) done(null, payload);
    else done(unavailable(`${refusal} The request may have been stored: send it again later.`));
  });
}

/**
 * Checks the readiness of the database after an unknown error.
 * @returns the body of the 503 that replaces the answer; undefined when all is well
 */
async function explain(reply: FastifyReply, readiness: Readiness): Promise<string | undefined> {
  const problem = await readiness.look(0);
  if (problem === undefined) return undefined;
  const { status, headers, detail } = unavailable(problem);
  reply.code(status).headers(headers);
  return JSON.stringify({ detail });
}
