import type { Database } from '../../database/database.ts';
import type { App } from '../../http/app-type.ts';
import { readFor } from '../../http/readings.ts';
import { refusals } from '../../http/schemas.ts';
import { RunList, RunQuery } from './schemas.ts';
import { listRuns, type RunOptions } from './service.ts';

/** `GET /runs/`: the first view of the page, and useful for other programs too. */
export function runRoutes(app: App, { database, ...options }: RunOptions & { database: Database }): void {
  app.get(
    '/',
    {
      prefixTrailingSlash: 'slash',
      schema: {
        tags: ['catalogue'],
        summary: 'Runs that pass every filter, newest first, page by page, with what a person looks for in a list',
        querystring: RunQuery(options.limits),
        response: { 200: RunList(options.limits), ...refusals(422) },
      },
    },
    (request) => listRuns(readFor(database, request), request.query, options),
  );
}
