import type { FastifyRequest } from 'fastify';
import { apiKeyHint } from '../auth/api-key.ts';
import { type ApiError, clip } from '../errors.ts';

/** What the log says of a request that was refused, so that somebody can find the program that has sent it. */
export interface RefusedRequest {
  method: string;
  /** As it was registered; the path, for one that is not there. */
  route: string;
  /** As the client has sent it, whether there is such a stream or not. */
  data_id?: string;
  /** As `keys list` shows it. */
  key_id?: number;
  /** What may be shown of a key that opens nothing. */
  key_hint?: string;
  /** Of the other end of the connection, which may be a proxy. */
  address?: string;
  /** Who stands behind a proxy, if it says so and tells the truth. */
  forwarded_for?: string;
}

export function describeRequest(request: FastifyRequest, refusal: ApiError): RefusedRequest {
  const { method, headers, url } = request;
  const path = url.split('?')[0] as string;
  const route = request.is404 ? (clip(path) as string) : (request.routeOptions.url ?? path);
  return {
    method,
    route,
    ...textField('data_id', refusal.dataId ?? dataIdOf(request.params) ?? dataIdOf(request.body)),
    ...keyOf(request),
    ...textField('address', request.socket.remoteAddress),
    ...textField('forwarded_for', headers['x-forwarded-for']),
  };
}

/** The `data_id` that is said in an object; undefined where it is no text. */
export function dataIdOf(fields: unknown): string | undefined {
  if (typeof fields !== 'object' || fields === null || !('data_id' in fields)) return undefined;
  return typeof fields.data_id === 'string' ? fields.data_id : undefined;
}

function keyOf(request: FastifyRequest): Pick<RefusedRequest, 'key_id' | 'key_hint'> {
  // Routes that are open, and requests that were refused before, have none.
  const identity = request.identity as FastifyRequest['identity'] | undefined;
  if (identity !== undefined) return { key_id: identity.keyId };
  const key = request.headers['x-api-key'];
  return typeof key === 'string' && key !== '' ? { key_hint: apiKeyHint(key) } : {};
}

function textField<Name extends string>(name: Name, value: unknown): Partial<Record<Name, string>> {
  return typeof value === 'string' ? ({ [name]: clip(value) } as Record<Name, string>) : {};
}
