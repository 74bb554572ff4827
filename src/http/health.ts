import { Type } from '@sinclair/typebox';
import type { Disk } from '../database/disk.ts';
import type { Readiness } from '../database/readiness.ts';
import type { Replica } from '../database/replica.ts';
import { packageCommit, packageVersion } from '../lib/package-info.ts';
import type { App } from './app-type.ts';
import { Commit } from './schemas.ts';

const Alive = Type.Object({
  status: Type.Literal('ok'),
  version: Type.String(),
  commit: Commit,
});
const Ready = Type.Object({
  status: Type.Literal('ready'),
  detail: Type.Optional(
    Type.String({
      description:
        'what an operator should see to, such as a disk of the database with little room left, or a replica that cannot be read',
    }),
  ),
});
const NotReady = Type.Object({ detail: Type.String() }, { description: 'not ready; detail says why' });

interface HealthParts {
  readiness: Pick<Readiness, 'look'>;
  disk: Pick<Disk, 'warning'>;
  replica?: Pick<Replica, 'warning'> | undefined;
}

/**
 * `/healthz` says that the process answers. `/readyz` says whether it may store chunks, by a check of the database that
 * is at most about a second old, however often it is asked. Both need no key.
 */
export function healthRoutes(app: App, { readiness, disk, replica }: HealthParts): void {
  app.get(
    '/healthz',
    { config: { open: true }, schema: { tags: ['operation'], summary: 'Alive', response: { 200: Alive } } },
    async () => ({ status: 'ok' as const, version: packageVersion, commit: packageCommit }),
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
    async (_request, reply) => {
      const problem = await readiness.look();
      const warnings = [disk.warning(), replica?.warning()].filter((one) => one !== undefined);
      const detail = warnings.length === 0 ? {} : { detail: warnings.join(' ') };
      if (problem === undefined) return { status: 'ready' as const, ...detail };
      return reply.code(503).send({ detail: problem });
    },
  );
}
