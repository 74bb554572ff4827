import type { FastifyRequest } from 'fastify';
import { ApiError } from '../errors.ts';

/**
 * The address under which the client reaches the server, without a slash at its end: `configured` (PUBLIC_URL), else what
 * the request says, by `X-Forwarded-Proto` and `X-Forwarded-Host` of a proxy before by its own connection and `Host`. Who
 * forges them is answered with a wrong address; nobody else is.
 * @throws ApiError 400 where neither names a host
 */
export function publicUrlOf({ headers, protocol }: FastifyRequest, configured: string | undefined): string {
  if (configured !== undefined) return configured.replace(/\/+$/, '');
  const scheme = first(headers['x-forwarded-proto'])?.toLowerCase();
  const host = first(headers['x-forwarded-host']) ?? headers.host;
  if (host === undefined || !hostPattern.test(host)) {
    throw new ApiError('bad_request', 'The header Host must name the server: an address is answered.');
  }
  return `${scheme === 'http' || scheme === 'https' ? scheme : protocol}://${host}`;
}

const hostPattern = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;

/** Of several proxies the first is nearest to the client. */
function first(header: string | string[] | undefined): string | undefined {
  return [header].flat()[0]?.split(',')[0]?.trim() || undefined;
}
