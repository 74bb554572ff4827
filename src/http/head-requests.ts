import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';

/**
 * HEAD is answered on every path of a GET like that, without the body (`exposeHeadRoutes`). This hook destroys a body
 * that would be streamed before any piece of it is made. Fastify would read it to its end, for nobody.
 */
export function endBodiesOfHead(app: FastifyInstance): void {
  app.addHook('onSend', (request, _reply, payload, done) => {
    if (request.method === 'HEAD' && payload instanceof Readable) payload.destroy();
    done();
  });
}
