import type { FastifyRequest } from 'fastify';
import { ApiError } from '../errors.ts';
import { hostOf } from './public-url.ts';

/**
 * Refuses a request with a session cookie unless this server's own page has sent it (protection against CSRF). A
 * browser sends cookies with requests of other pages too. SameSite does not stop pages of the same site: another port,
 * or another host of the same domain. Browsers name the origin of a request in Sec-Fetch-Site, or in Origin (over http,
 * and old ones). A read may lack both headers: no other page can see its answer, and a program is not a browser that
 * another page can use.
 * @throws ApiError 403
 */
export function requireOwnPage(request: FastifyRequest, publicUrl: string | undefined): void {
  const { headers } = request;
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  const from = whereFrom(request, publicUrl);
  // `none` means that a person has started it, for example by typing the address of a file.
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

/** Refuses a request that a page of another origin has sent, with or without a cookie. @throws ApiError 403 */
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
 * Whether an origin is on a host. The scheme is not compared, because a proxy that terminates TLS need not report it.
 * It need not be: an http page of an https server is another site, and from there the browser does not send the cookie.
 */
function isOriginOf(origin: string, host: string | undefined): boolean {
  if (host === undefined || !URL.canParse(origin)) return false;
  const { origin: read, protocol, host: named } = new URL(origin);
  if (read !== origin) return false;
  // Both are parsed with the origin's scheme, so that its default port is left out of both.
  return URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === named;
}
