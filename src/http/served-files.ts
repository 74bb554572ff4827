import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../errors.ts';
import { weightsOf } from './accepted.ts';

/** What browsers are given. A file of another kind is not served. */
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
type Encoding = keyof typeof encodings;

export interface ServedFile {
  type: string;
  bytes: Buffer;
  /** By encoding, what the build has compressed. */
  encoded: Map<Encoding, Buffer>;
  tag: string;
}

/**
 * The files of a folder that the build has made, by their names. They are read when the first is asked for, and stay in memory: the
 * few of the page, or those of the documentation.
 * @returns finds one; undefined where there is none of this name, or no such folder
 */
export function servedFiles(folder: URL): (name: string) => Promise<ServedFile | undefined> {
  let files: Promise<ReadonlyMap<string, ServedFile>> | undefined;
  return async (name) => {
    files ??= readFiles(folder).catch((error) => {
      // Whoever asks next finds out whether it can be read by then.
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
 * Sends a file in the form that the request takes, or that the browser has it already.
 * @throws ApiError 404 where there is none
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
  // Each form of a file is bytes of its own.
  const etag = encoding === undefined ? `"${file.tag}"` : `"${file.tag}-${encoding}"`;
  if (!reply.hasHeader('vary')) reply.header('vary', 'accept-encoding');
  reply.headers({ ...headers, etag }).type(file.type);
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  if (encoding === undefined) return reply.send(file.bytes);
  return reply.header('content-encoding', encoding).send(file.encoded.get(encoding));
}
