import type { Database } from '../database/database.ts';
import type { App } from '../http/app-type.ts';
import { readFor } from '../http/readings.ts';
import { refusals } from '../http/schemas.ts';
import { sendPieces } from '../http/send-pieces.ts';
import type { AuditLimits } from './limits.ts';
import { AuditAnswer, AuditQuery } from './schemas.ts';
import { entriesFile, listEntries } from './service.ts';

const contentTypes = { csv: 'text/csv; charset=utf-8; header=present', ndjson: 'application/x-ndjson' };

/** `GET /audit/`: who did what in the organization of the key. */
export function auditRoutes(app: App, { database, limits }: { database: Database; limits: AuditLimits }): void {
  app.get(
    '/',
    {
      prefixTrailingSlash: 'slash',
      config: { scope: 'admin' },
      schema: {
        tags: ['audit'],
        summary:
          'Who did what: entries of the audit log that pass every filter, newest first, page by page or as a file',
        querystring: AuditQuery(limits),
        response: { 200: AuditAnswer, ...refusals(422) },
      },
    },
    async (request, reply) => {
      const { format = 'json' } = request.query;
      const { organization } = readFor(database, request);
      if (format === 'json') return listEntries(organization, request.query, limits);
      const pieces = entriesFile(organization, request.query, format, limits);
      reply.type(contentTypes[format]).header('content-disposition', `attachment; filename="audit.${format}"`);
      if (request.method === 'HEAD') await pieces.return();
      return sendPieces(reply, pieces, contentTypes[format]);
    },
  );
}
