import type { FastifyInstance } from 'fastify';
import type { Standing, StandingLog } from '../database/standing.ts';
import { unavailable } from '../errors.ts';

/**
 * Refuses whatever would store something while this server may not go on (database/standing.ts), and takes back the answer
 * of what was stored meanwhile, before it leaves: an acknowledgement is a promise. Reads are answered as long as they can be.
 * A server that listens looks by itself.
 */
export function refuseWithoutStanding(app: FastifyInstance, standing: Standing, log: StandingLog): void {
  let stop = () => {};
  app.addHook('onListen', async () => {
    stop = standing.watch(log);
  });
  app.addHook('onClose', async () => stop());
  app.addHook('preHandler', async (request) => {
    if (request.method === 'GET' || request.is404) return;
    const refusal = standing.refusal();
    if (refusal !== undefined) throw unavailable(`${refusal} Nothing was stored.`);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    if (request.method === 'GET' || reply.statusCode >= 300) return payload;
    const refusal = standing.refusal();
    if (refusal !== undefined) throw unavailable(`${refusal} The request may have been stored: send it again later.`);
    return payload;
  });
}
