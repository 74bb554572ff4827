import { Type } from '@sinclair/typebox';
import { packageVersion } from '../lib/package-info.ts';
import { wantsPage } from './accepted.ts';
import type { App } from './app-type.ts';
import { sendServedFile, servedFiles } from './served-files.ts';

/** Made by `npm run build:page`; from `src` and from `dist` this is the same folder. */
const builtFolder = new URL('../../dist/page/', import.meta.url);

/**
 * Everything comes from here, and the page talks to nobody else; no script and no style stands in the page itself. `blob:` is
 * what the page makes itself, a picture of a plot.
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
 * `/`: the page for a person, and for a program where things are; `/page/NAME`: what the page loads. Without a key: all data come by
 * the routes of the API. The links of the page are relative, so that it works below the prefix of a proxy too.
 * @param folder where the built page is; without an `index.html` in it, everybody is a program
 */
export function pageRoutes(app: App, folder: URL = builtFolder): void {
  const find = servedFiles(folder);

  app.get(
    '/',
    {
      config: { open: true },
      schema: {
        tags: ['operation'],
        summary: 'The page, for a browser; for a program where things are',
        // The page has its state there.
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
