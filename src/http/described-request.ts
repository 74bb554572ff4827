import type { FastifyReply, FastifyRequest } from 'fastify';
import { apiKeyHint } from '../auth/api-key.ts';
import { type ApiError, clip } from '../errors.ts';
import { clientAddressOf } from './actor.ts';

/** What the log says of a request, beside its id, so that somebody can find the program that has sent it. */
export interface DescribedRequest {
  method: string;
  /** As it was registered; the path, for one that is not there. */
  route: string;
  /** As the client has sent it, whether there is such a stream or not. */
  data_id?: string;
  /** As `keys list` shows it. */
  key_id?: number;
  /** What may be shown of a key that opens nothing. */
  key_hint?: string;
  /** Of the other end of the connection; behind TRUSTED_PROXIES that of the client. */
  address?: string;
  /** Who stands behind a proxy, if it says so and tells the truth. */
  forwarded_for?: string;
  /** From the first byte of the request on. */
  duration_ms: number;
}

export function describeRequest(request: FastifyRequest, reply: FastifyReply, refusal?: ApiError): DescribedRequest {
  const { method, headers, params, body, query } = request;
  const dataId = refusal?.dataId ?? dataIdOf(params) ?? dataIdOf(body) ?? dataIdOf(query);
  return {
    method,
    route: routeOf(request),
    ...textField('data_id', dataId),
    ...keyOf(request),
    ...textField('address', clientAddressOf(request)),
    ...textField('forwarded_for', headers['x-forwarded-for']),
    duration_ms: Math.round(reply.elapsedTime * 10) / 10,
  };
}

/** By what requests are added up that have no line of their own. */
export function kindOf(request: FastifyRequest): Pick<DescribedRequest, 'method' | 'route' | 'key_id' | 'address'> {
  const { key_id } = keyOf(request);
  const who = key_id === undefined ? textField('address', clientAddressOf(request)) : { key_id };
  return { method: request.method, route: request.is404 ? '' : routeOf(request), ...who };
}

function routeOf(request: FastifyRequest): string {
  const path = request.url.split('?')[0] as string;
  return request.is404 ? (clip(path) as string) : (request.routeOptions.url ?? path);
}

/** The `data_id` that is said in an object; undefined where it is no text. */
export function dataIdOf(fields: unknown): string | undefined {
  if (typeof fields !== 'object' || fields === null || !('data_id' in fields)) return undefined;
  return typeof fields.data_id === 'string' ? fields.data_id : undefined;
}

function keyOf(request: FastifyRequest): Pick<DescribedRequest, 'key_id' | 'key_hint'> {
  // Routes that are open, and requests that were refused before, have none.
  const identity = request.identity as FastifyRequest['identity'] | undefined;
  if (identity !== undefined) return { key_id: identity.keyId };
  const key = request.headers['x-api-key'];
  return typeof key === 'string' && key !== '' ? { key_hint: apiKeyHint(key) } : {};
}

function textField<Name extends string>(name: Name, value: unknown): Partial<Record<Name, string>> {
  return typeof value === 'string' ? ({ [name]: clip(value) } as Record<Name, string>) : {};
}
