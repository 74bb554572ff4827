/** Answers an export from the cache: with its length, an ETag and ranges. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { ApiError } from '../errors.ts';
import type { Pieces } from '../lib/json-writer.ts';
import type { ExportCache } from './cache.ts';
import { type Export, metadataOf } from './export.ts';
import { findStanding } from './store.ts';

/** An export that nothing changes any more but a deliberate act. */
export interface Unchanging {
  /** The same for the same bytes, on every server of one release. */
  key: string;
  /** The export, as if it had been made when it changed last: so its file is the same whenever it is made. */
  exported: Export;
}

/**
 * What an export is kept under, from all that its file is made of.
 * @param form what of the request changes the bytes of the file
 * @returns undefined while it may still grow, and for one of no streams
 */
export async function findUnchanging(
  organization: OrganizationDatabase,
  exported: Export,
  form: object,
  graceSeconds: number,
): Promise<Unchanging | undefined> {
  const dataIds = exported.streams.map(({ data_id }) => data_id);
  if (dataIds.length === 0) return undefined;
  const { is_complete, changed_at, digest } = await findStanding(organization, dataIds, graceSeconds);
  if (!is_complete || changed_at === null) return undefined;
  const then = { ...exported, exportedAt: new Date(changed_at) };
  const made = [digest, changed_at, form, exported.isSelection, metadataOf(then)];
  return { key: createHash('sha256').update(JSON.stringify(made)).digest('hex'), exported: then };
}

/**
 * Sends the file of an unchanging export, or what the request asks of it.
 * @returns undefined when it cannot be kept, with nothing sent
 * @throws ApiError 416 for a range that is beyond the end of the file
 */
export async function sendKept(
  cache: ExportCache,
  request: FastifyRequest,
  reply: FastifyReply,
  key: string,
  make: () => Promise<Pieces | undefined>,
): Promise<FastifyReply | undefined> {
  const etag = `"${key}"`;
  const { 'if-none-match': known, 'if-range': ifRange, range: wanted } = request.headers;
  const isKnown = known?.split(',').some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === etag);
  const file = await cache.open(key, make);
  if (file === undefined) return undefined;
  const { handle, bytes } = file;
  reply.header('etag', etag).header('accept-ranges', 'bytes').header('cache-control', 'private, no-cache');
  const range = ifRange === undefined || ifRange === etag ? rangeOf(wanted, bytes) : undefined;
  if (isKnown || range === 'beyond' || request.method === 'HEAD' || bytes === 0) await handle.close();
  if (isKnown) return reply.code(304).send();
  if (range === 'beyond') {
    throw new ApiError('range_not_satisfiable', `The file has ${bytes} bytes.`, {
      'content-range': `bytes */${bytes}`,
    });
  }
  const { first, last } = range ?? { first: 0, last: bytes - 1 };
  if (range !== undefined) reply.code(206).header('content-range', `bytes ${first}-${last}/${bytes}`);
  reply.header('content-length', last - first + 1);
  if (request.method === 'HEAD' || bytes === 0) return reply.send(Readable.from([]));
  return reply.send(handle.createReadStream({ start: first, end: last }));
}

/**
 * The bytes that a request asks for, both ends included; undefined for the whole file, which several ranges at once are
 * answered with too.
 */
export function rangeOf(
  header: string | undefined,
  bytes: number,
): { first: number; last: number } | 'beyond' | undefined {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header?.replaceAll(' ', '') ?? '') ?? [];
  if (from === undefined || to === undefined || (from === '' && to === '')) return undefined;
  if (from === '') {
    const count = Math.min(Number(to), bytes);
    return count === 0 ? 'beyond' : { first: bytes - count, last: bytes - 1 };
  }
  const first = Number(from);
  const last = to === '' ? bytes - 1 : Math.min(Number(to), bytes - 1);
  if (to !== '' && Number(to) < first) return undefined;
  return first >= bytes ? 'beyond' : { first, last };
}
