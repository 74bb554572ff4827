import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../errors.ts';
import { weightsOf } from './accepted.ts';

/** The types of files that are served. A file with another ending is not. */
const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.webmanifest': 'application/manifest+json',
};

/** The encodings in which the build stores files, the smallest first, with the endings of their names. */
const encodings = { br: '.br', gzip: '.gz' } as const;
type Encoding = keyof typeof encodings;

export interface ServedFile {
  type: string;
  bytes: Buffer;
  /** The compressed forms that the build has made. */
  encoded: Map<Encoding, Buffer>;
  tag: string;
}

/**
 * Serves the files of a folder that the build has made: the page, or its documentation. All are read at the first
 * request and stay in memory, since they are few.
 * @returns a function that finds a file by its name; it gives undefined when there is no such file or folder
 */
export function servedFiles(folder: URL): (name: string) => Promise<ServedFile | undefined> {
  let files: Promise<ReadonlyMap<string, ServedFile>> | undefined;
  return async (name) => {
    files ??= readFiles(folder).catch((error) => {
      // The error is not cached: the next request tries to read the files again.
      files = undefined;
      throw error;
    });
    return (await files).get(name);
  };
}

async function readFiles(folder: URL): Promise<ReadonlyMap<string, ServedFile>> {
  const names: string[] = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const read = async (name: string): Promise<[string, ServedFile]> => {
    const bytes = await readFile(new URL(name, folder));
    const encoded = new Map<Encoding, Buffer>();
    for (const [encoding, suffix] of Object.entries(encodings)) {
      if (names.includes(name + suffix))
        encoded.set(encoding as Encoding, await readFile(new URL(name + suffix, folder)));
    }
    const tag = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
    return [name, { type: types[extname(name)] as string, bytes, encoded, tag }];
  };
  return new Map(await Promise.all(names.filter((name) => types[extname(name)] !== undefined).map(read)));
}

/**
 * Sends a file in an encoding that the request accepts, or 304 when the browser has it already.
 * @throws ApiError 404 when `file` is undefined
 */
export function sendServedFile(
  request: FastifyRequest,
  reply: FastifyReply,
  file: ServedFile | undefined,
  headers: Readonly<Record<string, string>>,
): FastifyReply {
  if (file === undefined) throw new ApiError('not_found', 'page not found');
  const weightOf = weightsOf(String(request.headers['accept-encoding'] ?? ''));
  const encoding = [...file.encoded.keys()].find((one) => (weightOf(one) ?? 0) > 0);
  // Each encoding has different bytes, so it has an ETag of its own.
  const etag = encoding === undefined ? `"${file.tag}"` : `"${file.tag}-${encoding}"`;
  if (!reply.hasHeader('vary')) reply.header('vary', 'accept-encoding');
  reply.headers({ ...headers, etag }).type(file.type);
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  if (encoding === undefined) return reply.send(file.bytes);
  return reply.header('content-encoding', encoding).send(file.encoded.get(encoding));
}
