import type { FastifyRequest } from 'fastify';
import { ApiError } from '../errors.ts';
import { hostOf } from './public-url.ts';

/**
 * Refuses a request that comes with a cookie, unless the page of this server has sent it: a browser sends cookies along with
 * requests of other pages too, and those of one site (another port, another host of the same domain) are not stopped by SameSite.
 * Browsers say where a request comes from in Sec-Fetch-Site, or, where they do not (http, old ones), in Origin.
 * A read may also come without both: no other page can see its answer, and a program has no browser that is led astray.
 * @throws ApiError 403
 */
export function requireOwnPage(request: FastifyRequest, publicUrl: string | undefined): void {
  const { headers } = request;
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  const from = whereFrom(request, publicUrl);
  // A person has typed the address of a file, say.
  if (from === 'own' || (isRead && (from === 'nowhere' || headers['sec-fetch-site'] === 'none'))) return;
  if (from === 'nowhere') {
    throw new ApiError(
      'forbidden',
      'A session changes something only for the page of this server: the request has neither Sec-Fetch-Site nor Origin. ' +
        'A program sends a key in X-API-KEY.',
    );
  }
  throw refusal(request);
}

/** Refuses what a page of another origin sends, with or without a cookie. @throws ApiError 403 */
export function refuseOtherOrigins(request: FastifyRequest, publicUrl: string | undefined): void {
  if (whereFrom(request, publicUrl) === 'elsewhere') throw refusal(request);
}

function refusal({ headers }: FastifyRequest): ApiError {
  const { origin, 'sec-fetch-site': site } = headers;
  const said =
    site === undefined ? `Origin: ${String(origin).slice(0, shownMax)}` : `Sec-Fetch-Site: ${site.slice(0, shownMax)}`;
  return new ApiError(
    'forbidden',
    `A session counts only for the page of this server, and this request comes from elsewhere (${said}, for the host ` +
      `${(hostOf(headers) ?? 'that it does not name').slice(0, shownMax)}). Behind a proxy, let it pass Host on, or set PUBLIC_URL.`,
  );
}

const shownMax = 100;

function whereFrom({ headers }: FastifyRequest, publicUrl: string | undefined): 'own' | 'elsewhere' | 'nowhere' {
  const { origin, 'sec-fetch-site': site } = headers;
  if (site !== undefined) return site === 'same-origin' ? 'own' : 'elsewhere';
  if (origin === undefined) return 'nowhere';
  const isOwn =
    isOriginOf(origin, hostOf(headers)) || (publicUrl !== undefined && isOriginOf(origin, new URL(publicUrl).host));
  return isOwn ? 'own' : 'elsewhere';
}

/**
 * Whether an origin is on a host. Its scheme is not looked at: a proxy that ends TLS need not say so, and a page by http of a
 * server that has https is of another site, from which the cookie does not come.
 */
function isOriginOf(origin: string, host: string | undefined): boolean {
  if (host === undefined || !URL.canParse(origin)) return false;
  const { origin: read, protocol, host: named } = new URL(origin);
  if (read !== origin) return false;
  // In the same spelling: without the port that is that of the scheme.
  return URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === named;
}
