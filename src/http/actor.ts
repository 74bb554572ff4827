import type { FastifyRequest } from 'fastify';
import type { Actor, Origin } from '../database/audit.ts';

/** The client's address: that of the connection or, behind TRUSTED_PROXIES, the one that the proxies report. */
export function clientAddressOf(request: FastifyRequest): string | undefined {
  // A socket that listens for IPv6 too reports an IPv4 address with the prefix ::ffff:.
  return request.ip?.replace(/^::ffff:(?=\d+\.)/, '').slice(0, addressLengthMax);
}

/** The longest IPv6 address has 45 characters, and a zone may follow it. */
const addressLengthMax = 100;

/** Id and address of a request, for the audit log. */
export const originOf = (request: FastifyRequest): Origin => ({
  requestId: request.id,
  address: clientAddressOf(request),
});

/** Who sends a request, for the audit log. */
export function actorFor(request: FastifyRequest): Actor {
  // Requests to open routes have no identity.
  const identity = request.identity as FastifyRequest['identity'] | undefined;
  const origin = originOf(request);
  return identity === undefined ? { kind: 'stranger', ...origin } : { kind: 'key', keyId: identity.keyId, ...origin };
}
