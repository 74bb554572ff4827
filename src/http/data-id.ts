import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { Uuid } from './schemas.ts';

/** The parameters of a path with a `data_id`. Its handler gets the id in lower case (`lowerDataIds`). */
export const DataIdPath = (description: string) => Type.Object({ data_id: Uuid(description) });

/** Makes every `data_id` in a path lower case. It runs after validation, so that a refusal shows the id as it was sent. */
export function lowerDataIds(app: FastifyInstance): void {
  app.addHook('preHandler', (request, _reply, done) => {
    const params = request.params as { data_id?: string };
    if (params.data_id !== undefined) params.data_id = params.data_id.toLowerCase();
    done();
  });
}
