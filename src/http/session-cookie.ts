import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { isToken } from '../auth/tokens.ts';
import { hostOf, publicUrlOf } from './public-url.ts';

/**
 * The secret of the session that a request carries in its cookie; undefined where it carries none that can be one. A browser
 * sends cookies of all servers of one host, so there may be others of the same name.
 */
export function sessionTokenOf(headers: IncomingHttpHeaders): string | undefined {
  const { cookie } = headers;
  if (cookie === undefined) return undefined;
  const begin = `${cookieName(headers)}=`;
  for (const one of cookie.split(';')) {
    const text = one.trimStart();
    if (!text.startsWith(begin)) continue;
    const token = text.slice(begin.length).trimEnd();
    if (isToken('session', token)) return token;
  }
  return undefined;
}

/**
 * The value of Set-Cookie that gives a browser its session: no program in a page can read it, and it goes to no other site.
 * @param seconds how long the browser keeps it
 */
export function sessionCookie(request: FastifyRequest, token: string, seconds: number, publicUrl?: string): string {
  const secure = cameByHttps(request, publicUrl) ? '; Secure' : '';
  return `${cookieName(request.headers)}=${token}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`;
}

/** The value of Set-Cookie after which a browser has none any more. */
export function noSessionCookie(request: FastifyRequest, publicUrl?: string): string {
  return sessionCookie(request, '', 0, publicUrl);
}

/** Cookies do not know ports: two servers of one host would overwrite each other's. */
function cookieName(headers: IncomingHttpHeaders): string {
  const [, port] = /:(\d{1,5})$/.exec(hostOf(headers) ?? '') ?? [];
  return port === undefined ? 'metrology_session' : `metrology_session_${port}`;
}

/**
 * Whether the page came by https. A browser says so itself, in the Origin of a POST and of a DELETE; a proxy in front need not.
 * Who forges either gets a cookie that is of no use to him, and nobody else does.
 */
function cameByHttps(request: FastifyRequest, publicUrl: string | undefined): boolean {
  const { origin } = request.headers;
  return /^https:/i.test(origin ?? publicUrlOf(request, publicUrl) ?? '');
}
