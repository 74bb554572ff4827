import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { ApiError } from '../errors.ts';

/**
 * The address under which the client reaches the server, without a slash at its end: `configured` (PUBLIC_URL), else what
 * the request says, by `X-Forwarded-Proto` and `X-Forwarded-Host` of a proxy before by its own connection and `Host`. Who
 * forges them is answered with a wrong address; nobody else is.
 * @returns undefined where nothing names a host, as HTTP/1.0 need not
 * @throws ApiError 400 where what names it is none
 */
export function publicUrlOf({ headers, protocol }: FastifyRequest, configured: string | undefined): string | undefined {
  if (configured !== undefined) return configured.replace(/\/+$/, '');
  const scheme = first(headers['x-forwarded-proto'])?.toLowerCase();
  const host = hostOf(headers);
  if (host === undefined) return undefined;
  if (!hostPattern.test(host)) throw noHost();
  return `${scheme === 'http' || scheme === 'https' ? scheme : protocol}://${host}`;
}

/** The same for an answer that is an address. @throws ApiError 400 also where nothing names a host */
export function requirePublicUrl(request: FastifyRequest, configured: string | undefined): string {
  const url = publicUrlOf(request, configured);
  if (url === undefined) throw noHost();
  return url;
}

/** The host, and the port where it is said, under which the client reaches the server, as the request names it. */
export function hostOf(headers: IncomingHttpHeaders): string | undefined {
  return first(headers['x-forwarded-host']) ?? (headers.host || undefined);
}

const noHost = () => new ApiError('bad_request', 'The header Host must name the server: an address is answered.');

const hostPattern = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;

/** Of several proxies the first is nearest to the client. */
function first(header: string | string[] | undefined): string | undefined {
  return [header].flat()[0]?.split(',')[0]?.trim() || undefined;
}
