import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { isToken } from '../auth/tokens.ts';
import { hostOf, publicUrlOf } from './public-url.ts';

/**
 * The token of the session in a request's cookie; undefined when there is none of a valid form. A browser sends the
 * cookies of all servers of one host, so there may be several of this name.
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
 * The value of Set-Cookie that gives a browser its session. Scripts cannot read the cookie, and it is sent to no other
 * site.
 * @param seconds how long the browser keeps it
 */
export function sessionCookie(request: FastifyRequest, token: string, seconds: number, publicUrl?: string): string {
  const secure = cameByHttps(request, publicUrl) ? '; Secure' : '';
  return `${cookieName(request.headers)}=${token}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`;
}

/** The value of Set-Cookie that deletes the cookie. */
export function noSessionCookie(request: FastifyRequest, publicUrl?: string): string {
  return sessionCookie(request, '', 0, publicUrl);
}

/**
 * The name contains the port, because cookies ignore ports: two servers of one host would overwrite each other's
 * cookie.
 */
function cookieName(headers: IncomingHttpHeaders): string {
  const [, port] = /:(\d{1,5})$/.exec(hostOf(headers) ?? '') ?? [];
  return port === undefined ? 'metrology_session' : `metrology_session_${port}`;
}

/**
 * Whether the page was loaded by https. The browser says so in the Origin of a POST and of a DELETE, while a proxy may
 * not report it. A client that forges either header only gets a useless cookie itself.
 */
function cameByHttps(request: FastifyRequest, publicUrl: string | undefined): boolean {
  const { origin } = request.headers;
  return /^https:/i.test(origin ?? publicUrlOf(request, publicUrl) ?? '');
}
