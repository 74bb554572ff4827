import type { FastifyRequest } from 'fastify';
import type { Match } from './wire.ts';

/** The facts of a request that fault rules and journal filters can match. */
export interface Facts {
  method: string;
  path: string;
  organizationId: string | undefined;
  dataId: string | undefined;
  channelNames: readonly string[];
  chunkIndex: number | undefined;
}

/** Reads the facts from a request and the JSON of its body, which is not validated yet. */
export function factsOf(request: FastifyRequest, json: unknown): Facts {
  const body = isObject(json) ? json : {};
  const params = isObject(request.params) ? request.params : {};
  const dataId = body.data_id ?? params.data_id;
  const channelNames = isObject(body.channels) ? Object.keys(body.channels) : [body.channel_name];
  return {
    method: request.method,
    path: pathOf(request.url),
    organizationId: request.identity?.organizationId,
    dataId: typeof dataId === 'string' ? dataId.toLowerCase() : undefined,
    channelNames: channelNames.filter((name) => typeof name === 'string'),
    chunkIndex: typeof body.chunk_index === 'number' ? body.chunk_index : undefined,
  };
}

/** The path as the router sees it: single slashes, and none at the end. */
export function pathOf(url: string): string {
  return withSingleSlashes(url.split('?')[0] as string);
}

function withSingleSlashes(text: string): string {
  const path = text.replaceAll(/\/{2,}/g, '/');
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

/** A function that tests whether all conditions of `match` hold. */
export function matcherOf(match: Match): (facts: Facts) => boolean {
  const path = match.path === undefined ? undefined : globPattern(withSingleSlashes(match.path));
  const method = match.method?.toUpperCase();
  const [organizationId, dataId] = [match.organization_id?.toLowerCase(), match.data_id?.toLowerCase()];
  return (facts) =>
    (method === undefined || facts.method === method) &&
    (path === undefined || path.test(facts.path)) &&
    (organizationId === undefined || facts.organizationId === organizationId) &&
    (dataId === undefined || facts.dataId === dataId) &&
    (match.channel_name === undefined || facts.channelNames.includes(match.channel_name)) &&
    (match.chunk_index === undefined || facts.chunkIndex === match.chunk_index);
}

/**
 * `**` matches any text, `*` and `?` any characters within one part of a path. `/**` at the end also matches the path
 * before it.
 */
function globPattern(glob: string): RegExp {
  const pattern = glob
    .split(/(\/\*\*$|\*\*\/|\*\*|\*|\?)/)
    .map((part) => wildcards[part] ?? part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('');
  return new RegExp(`^${pattern}$`);
}

const wildcards: Record<string, string> = {
  '/**': '(?:/.*)?',
  '**/': '(?:.*/)?',
  '**': '.*',
  '*': '[^/]*',
  '?': '[^/]',
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
