import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';

/**
 * HEAD is answered on every path of a GET as that is, without the body (`exposeHeadRoutes`). What would have been streamed
 * is ended here before a piece of it is made: Fastify would read it to its end for nobody.
 */
export function endBodiesOfHead(app: FastifyInstance): void {
  app.addHook('onSend', (request, _reply, payload, done) => {
    if (request.method === 'HEAD' && payload instanceof Readable) payload.destroy();
    done();
  });
}
