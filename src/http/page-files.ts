import { Type } from '@sinclair/typebox';
import { packageVersion } from '../lib/package-info.ts';
import { wantsPage } from './accepted.ts';
import type { App } from './app-type.ts';
import { sendServedFile, servedFiles } from './served-files.ts';

/** Made by `npm run build:page`. The path leads to the same folder from `src` and from `dist`. */
const builtFolder = new URL('../../dist/page/', import.meta.url);

/**
 * The page loads everything from this server, and can send requests to no other. It has no inline script or style.
 * `blob:` is for pictures of plots, which the page makes itself.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "manifest-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const headers = {
  'content-security-policy': contentSecurityPolicy,
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

const Entrance = Type.Object({
  name: Type.String(),
  version: Type.String(),
  docs: Type.String({ description: 'the documentation, to read and to try out; addresses are relative to this one' }),
  openapi: Type.String(),
  health: Type.String(),
  ready: Type.String(),
  session: Type.String(),
  runs: Type.String(),
});

const entrance = {
  name: 'metrology-server',
  version: packageVersion,
  docs: './docs',
  openapi: './openapi.yaml',
  health: './healthz',
  ready: './readyz',
  session: './session',
  runs: './runs/',
};

/**
 * `/` is the page for a browser, and a list of addresses for a program. `/page/NAME` are the files of the page. They
 * need no key, since all data come from the routes of the API. The links of the page are relative, so that it also
 * works below the prefix of a proxy.
 * @param folder where the built page is; without an `index.html` in it, browsers get the list of addresses too
 */
export function pageRoutes(app: App, folder: URL = builtFolder): void {
  const find = servedFiles(folder);

  app.get(
    '/',
    {
      config: { open: true },
      schema: {
        tags: ['operation'],
        summary: 'The page for a browser; for a program, the addresses of what the server has',
        // The page keeps its state in the query.
        querystring: Type.Object({}, { additionalProperties: true }),
        response: {
          200: {
            description: 'what Accept prefers, JSON unless it names text/html',
            content: {
              'application/json': { schema: Entrance },
              'text/html': { schema: Type.String() },
            },
          },
        },
      },
    },
    async (request, reply) => {
      reply.header('vary', 'accept, accept-encoding');
      const page = wantsPage(request.headers.accept) ? await find('index.html') : undefined;
      if (page !== undefined)
        return sendServedFile(request, reply, page, { ...headers, 'cache-control': 'no-cache' }) as never;
      return reply.type('application/json; charset=utf-8').send(entrance);
    },
  );

  app.get<{ Params: { name: string } }>(
    '/page/:name',
    { config: { open: true }, schema: { hide: true } },
    async (request, reply) => {
      const { name } = request.params;
      const file = name === 'index.html' ? undefined : await find(name);
      return sendServedFile(request, reply, file, {
        ...headers,
        'cache-control': 'public, max-age=31536000, immutable',
      });
    },
  );
}
