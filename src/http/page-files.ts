import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { Type } from '@sinclair/typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../errors.ts';
import { packageVersion } from '../lib/package-info.ts';
import { wantsPage, weightsOf } from './accepted.ts';
import type { App } from './app-type.ts';

/** Made by `npm run build:page`; from `src` and from `dist` this is the same folder. */
const builtFolder = new URL('../../dist/page/', import.meta.url);

/** What the page is made of. A file of another kind is not served. */
const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.webmanifest': 'application/manifest+json',
};

/** Of the files that the build has compressed, the smallest first. */
const encodings = { br: '.br', gzip: '.gz' } as const;

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
  let files: Promise<PageFiles> | undefined;
  const find = async (name: string) => {
    files ??= readPage(folder);
    return (await files).get(name);
  };

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
      if (page !== undefined) return sendPageFile(request, reply, page, 'no-cache') as never;
      return reply.type('application/json; charset=utf-8').send(entrance);
    },
  );

  app.get<{ Params: { name: string } }>(
    '/page/:name',
    { config: { open: true }, schema: { hide: true } },
    async (request, reply) => {
      const file = await find(request.params.name);
      if (file === undefined || request.params.name === 'index.html') throw new ApiError('not_found', 'page not found');
      reply.header('vary', 'accept-encoding');
      return sendPageFile(request, reply, file, 'public, max-age=31536000, immutable');
    },
  );
}

interface PageFile {
  type: string;
  bytes: Buffer;
  /** By encoding, what the build has compressed. */
  encoded: Map<keyof typeof encodings, Buffer>;
  tag: string;
}
type PageFiles = ReadonlyMap<string, PageFile>;

/** All files of the page: a few, of some 100 kB together, which stay in memory. */
async function readPage(folder: URL): Promise<PageFiles> {
  const names: string[] = await readdir(folder).catch(() => []);
  const kept = names.filter((name) => types[extname(name)] !== undefined);
  const read = async (name: string): Promise<[string, PageFile]> => {
    const bytes = await readFile(new URL(name, folder));
    const encoded = new Map<keyof typeof encodings, Buffer>();
    for (const [encoding, suffix] of Object.entries(encodings)) {
      if (names.includes(name + suffix))
        encoded.set(encoding as keyof typeof encodings, await readFile(new URL(name + suffix, folder)));
    }
    const tag = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
    return [name, { type: types[extname(name)] as string, bytes, encoded, tag }];
  };
  return new Map(await Promise.all(kept.map(read)));
}

function sendPageFile(request: FastifyRequest, reply: FastifyReply, file: PageFile, caching: string): FastifyReply {
  const weightOf = weightsOf(String(request.headers['accept-encoding'] ?? ''));
  const encoding = [...file.encoded.keys()].find((one) => (weightOf(one) ?? 0) > 0);
  // Each form of a file is bytes of its own.
  const etag = encoding === undefined ? `"${file.tag}"` : `"${file.tag}-${encoding}"`;
  reply.headers({ ...headers, 'cache-control': caching, etag }).type(file.type);
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  if (encoding === undefined) return reply.send(file.bytes);
  return reply.header('content-encoding', encoding).send(file.encoded.get(encoding));
}
