import { existsSync, readFileSync } from 'node:fs';
import swagger from '@fastify/swagger';
import type { FastifySchema } from 'fastify';
import { stringify } from 'yaml';
import { packageCommit, packageVersion } from '../lib/package-info.ts';
import type { App } from './app-type.ts';
import { isOfficial } from './official-routes.ts';
import { withExampleBodies } from './openapi-examples.ts';

const info = {
  title: 'metrology-server',
  version: packageVersion,
  description:
    'A self-hosted backend for the Atomscale metrology streaming API. Every chunk is stored once, at array offset ' +
    '`chunk_index × points_per_chunk`, before it is acknowledged; sending it again replaces the same slice.',
  license: { name: 'MIT', identifier: 'MIT' },
};

const tags = [
  { name: 'stream', description: 'Ingest: a growth tool opens a stream, sends chunks, finalizes' },
  { name: 'time series', description: 'Read back' },
  { name: 'live', description: 'What happens in runs, as it happens' },
  { name: 'ledger', description: 'What is stored, what is missing, what was replaced' },
  { name: 'exports', description: 'Files of streams: CSV and Parquet' },
  { name: 'catalogue', description: 'Data entries, samples, projects, tags and instruments' },
  { name: 'session', description: 'The page in a browser: signing in and out' },
  { name: 'keys', description: 'Keys and users of the own organization, for who has the scope admin' },
  { name: 'operation', description: 'Health, metrics and this document' },
];

/**
 * Collects the schema of every route that is registered after this call.
 * @param about title and tags of the document; by default those of the API
 */
export async function collectOpenapi(
  app: App,
  about: { info: typeof info; tags: typeof tags } = { info, tags },
): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      ...about,
      servers: [{ url: 'http://127.0.0.1:8000', description: 'a server started with the defaults' }],
      components: { securitySchemes: { key: { type: 'apiKey', name: 'X-API-KEY', in: 'header' } } },
      security: [{ key: [] }],
    },
    refResolver: { buildLocalReference: (schema) => String(schema.$id) },
    transform: ({ schema, url, route }) => {
      const open = (route.config as { open?: boolean } | undefined)?.open;
      const headers = isOfficial([route.method].flat()[0] as string, route.url) ? ignoredHeader : {};
      return { schema: { ...describeAnswers(schema, headers), ...(open && { security: [] }) }, url };
    },
  });
}

/** The header `Ignored`, which only answers of official routes have. */
const ignoredHeader = {
  Ignored: {
    type: 'string',
    examples: ['"unit";in=body;did-you-mean="units"'],
    description:
      'only if the request has unknown parameters or fields: names them, and the known names that were probably meant',
  },
};

/**
 * Adds descriptions to answers, since OpenAPI requires one for each: the summary of the route, unless the schema has
 * its own.
 * @param headers headers that successful answers may have
 */
function describeAnswers(schema: FastifySchema, headers: object): FastifySchema {
  const answers = (schema?.response ?? {}) as Record<string, { headers?: object }>;
  const described = Object.entries(answers).map(([status, answer]) => {
    const all = { ...answer.headers, ...(status.startsWith('2') && headers) };
    return [status, { description: schema.summary, ...answer, ...(Object.keys(all).length > 0 && { headers: all }) }];
  });
  return { ...schema, response: Object.fromEntries(described) };
}

/**
 * The OpenAPI document of all routes as YAML, the content of the committed file. It does not name the commit, because a
 * file cannot contain the hash of the commit that it belongs to.
 */
export function openapiYaml(app: App): string {
  return stringify(withExampleBodies(app.swagger()), { lineWidth: 120, aliasDuplicateObjects: false });
}

/**
 * The committed file, which a test compares with the routes. It is served because generating it blocks the event loop
 * for 200 ms.
 */
const committed = new URL('../../openapi.yaml', import.meta.url);

export function openapiRoutes(app: App): void {
  let document: string | undefined;
  app.get('/openapi.yaml', { config: { open: true }, schema: { hide: true } }, async (_request, reply) => {
    // A build from `src` alone has no committed file.
    document ??= withCommit(existsSync(committed) ? readFileSync(committed, 'utf8') : openapiYaml(app));
    return reply.type('application/yaml').send(document);
  });
}

/** Adds the commit of this build to the document's `info`, in a line after the version. */
function withCommit(document: string): string {
  return document.replace(
    /^ {2}version: .*$/m,
    (version) => `${version}\n  x-commit: ${JSON.stringify(packageCommit)}`,
  );
}
