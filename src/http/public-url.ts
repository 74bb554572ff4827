import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { ApiError } from '../errors.ts';

/**
 * The address at which the client reaches the server, without a slash at its end. It is `configured` (PUBLIC_URL), or
 * is taken from the request: first from `X-Forwarded-Proto` and `X-Forwarded-Host` of a proxy, then from the connection
 * and `Host`. A client that forges these headers gets a wrong address itself, and nobody else does.
 * @returns undefined when nothing names a host, as HTTP/1.0 allows
 * @throws ApiError 400 when the host is not valid
 */
export function publicUrlOf({ headers, protocol }: FastifyRequest, configured: string | undefined): string | undefined {
  if (configured !== undefined) return configured.replace(/\/+$/, '');
  const scheme = first(headers['x-forwarded-proto'])?.toLowerCase();
  const host = hostOf(headers);
  if (host === undefined) return undefined;
  if (!hostPattern.test(host)) throw noHost();
  return `${scheme === 'http' || scheme === 'https' ? scheme : protocol}://${host}`;
}

/** The same, for an answer that cannot do without the address. @throws ApiError 400 also when nothing names a host */
export function requirePublicUrl(request: FastifyRequest, configured: string | undefined): string {
  const url = publicUrlOf(request, configured);
  if (url === undefined) throw noHost();
  return url;
}

/** The host that the request names, with its port if that is given. */
export function hostOf(headers: IncomingHttpHeaders): string | undefined {
  return first(headers['x-forwarded-host']) ?? (headers.host || undefined);
}

const noHost = () => new ApiError('bad_request', 'The header Host must name the server: an address is answered.');

const hostPattern = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;

/** The first value of a list header. With several proxies it comes from the one nearest to the client. */
function first(header: string | string[] | undefined): string | undefined {
  return [header].flat()[0]?.split(',')[0]?.trim() || undefined;
}
