import { Type } from '@sinclair/typebox';
import type { FastifyBaseLogger } from 'fastify';
import type { Database } from '../database/database.ts';
import { durabilityProblem } from '../database/durability.ts';
import { migrationProblem } from '../database/migrate.ts';
import { packageVersion } from '../lib/package-info.ts';
import type { App } from './app-type.ts';

const Alive = Type.Object({ status: Type.Literal('ok'), version: Type.String() });
const Ready = Type.Object({ status: Type.Literal('ready') });
const NotReady = Type.Object({ detail: Type.String() }, { description: 'not ready; detail says why' });

/** `/healthz`: the process answers. `/readyz`: it can keep its promises. Both without a key. */
export function healthRoutes(app: App, { database }: { database: Database }): void {
  app.get(
    '/healthz',
    { config: { open: true }, schema: { tags: ['operation'], summary: 'Alive', response: { 200: Alive } } },
    async () => ({ status: 'ok' as const, version: packageVersion }),
  );
  app.get(
    '/readyz',
    {
      config: { open: true },
      schema: {
        tags: ['operation'],
        summary: 'Ready: the database is reached, migrated and set to lose nothing that it has committed',
        response: { 200: Ready, 503: NotReady },
      },
    },
    async (request, reply) => {
      const problem = await readinessProblem(database, request.log);
      if (problem === undefined) return { status: 'ready' as const };
      return reply.code(503).send({ detail: problem });
    },
  );
}

/**
 * Why this server cannot keep its promises now, in one sentence; undefined when it can. Never throws. The route is open,
 * so addresses and names of the database go to the log only.
 */
async function readinessProblem(database: Database, log: FastifyBaseLogger): Promise<string | undefined> {
  try {
    return (await durabilityProblem(database)) ?? (await migrationProblem(database.service));
  } catch (error) {
    log.warn({ err: error }, 'not ready');
    return 'The database cannot be reached; the log of the server says why.';
  }
}
