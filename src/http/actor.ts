import type { FastifyRequest } from 'fastify';
import type { Actor, Origin } from '../database/audit.ts';

/** The other end of the connection; or who stands behind the proxies of TRUSTED_PROXIES, as they say. */
export function clientAddressOf(request: FastifyRequest): string | undefined {
  // Of a socket that listens for IPv6 too, an address of IPv4 comes in a longer form.
  return request.ip?.replace(/^::ffff:(?=\d+\.)/, '').slice(0, addressLengthMax);
}

/** The longest address of IPv6 has 45 characters, and a zone may stand behind it. */
const addressLengthMax = 100;

/** Which request something came with, for the audit log. */
export const originOf = (request: FastifyRequest): Origin => ({
  requestId: request.id,
  address: clientAddressOf(request),
});

/** Who asks, for the audit log. */
export function actorFor(request: FastifyRequest): Actor {
  // Open routes have none.
  const identity = request.identity as FastifyRequest['identity'] | undefined;
  const origin = originOf(request);
  return identity === undefined ? { kind: 'stranger', ...origin } : { kind: 'key', keyId: identity.keyId, ...origin };
}
