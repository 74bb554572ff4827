import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import { requestIdHeader } from './request-id.ts';

/**
 * The headers of every answer. A shared cache does not know that the answer depends on X-API-KEY, so it must not store
 * it. A browser must not guess the type of an answer. Routes whose answers may be cached replace these headers.
 */
export const commonHeaders = { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' };

/**
 * Sets the common headers and the id of the request on every answer, and allows the origins of CORS_ORIGINS to read it.
 * Call it before `requireKeys`, so that refusals have them too.
 * @param origins the setting CORS_ORIGINS
 */
export async function setResponseHeaders(app: FastifyInstance, origins: string | undefined): Promise<void> {
  // With a callback, as every hook that does not wait: an async hook costs a promise for each request.
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(commonHeaders).header(requestIdHeader, request.id);
    done();
  });
  if (origins === undefined) return;
  // A preflight carries no key; all other requests need one as usual. Cookies of other origins are not accepted, so
  // credentials are not allowed.
  await app.register(cors, {
    origin: origins.split(',').map((origin) => new URL(origin.trim()).origin),
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['X-API-KEY', 'Content-Type'],
    exposedHeaders: '*',
    maxAge: preflightSeconds,
    // An OPTIONS request that is not a preflight is answered like one.
    strictPreflight: false,
  });
}

const preflightSeconds = 600;
