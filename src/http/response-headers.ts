import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import { requestIdHeader } from './request-id.ts';

/**
 * On every answer. A shared cache does not know that the answer depends on X-API-KEY, and a browser must not guess what
 * an answer is. Routes that may be cached say so themselves.
 */
export const commonHeaders = { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' };

/**
 * Sets the common headers and the id of the request on every answer, and lets pages of the listed origins read it, as CORS_ORIGINS has them. Call it
 * before keys are asked for.
 */
export async function setResponseHeaders(app: FastifyInstance, origins: string | undefined): Promise<void> {
  // With a callback, as every hook that has nothing to wait for: an async one costs each request a promise.
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(commonHeaders).header(requestIdHeader, request.id);
    done();
  });
  if (origins === undefined) return;
  // A preflight carries no key; everything else is asked for one as ever. There are no cookies, so no credentials.
  await app.register(cors, {
    origin: origins.split(',').map((origin) => new URL(origin.trim()).origin),
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['X-API-KEY', 'Content-Type'],
    exposedHeaders: '*',
    maxAge: preflightSeconds,
    // An OPTIONS that is no preflight is answered alike.
    strictPreflight: false,
  });
}

const preflightSeconds = 600;
