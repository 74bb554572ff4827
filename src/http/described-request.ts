import type { FastifyReply, FastifyRequest } from 'fastify';
import { apiKeyHint } from '../auth/api-key.ts';
import { type ApiError, clip } from '../errors.ts';
import { clientAddressOf } from './actor.ts';

/** The fields of a request in the log, besides its id. They help to find the program that has sent it. */
export interface DescribedRequest {
  method: string;
  /** The route as it was registered; the path when there is no such route. */
  route: string;
  /** As the client has sent it; the stream may not exist. */
  data_id?: string;
  /** The id of the key, as `keys list` shows it. */
  key_id?: number;
  /** The part of an invalid key that may be shown. */
  key_hint?: string;
  /** Address of the client: that of the connection, or the one that TRUSTED_PROXIES report. */
  address?: string;
  /** X-Forwarded-For as it was sent, so it may be forged. */
  forwarded_for?: string;
  /** Time since the first byte of the request. */
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

/** The fields by which requests without a log line of their own are counted. */
export function kindOf(request: FastifyRequest): Pick<DescribedRequest, 'method' | 'route' | 'key_id' | 'address'> {
  const { key_id } = keyOf(request);
  const who = key_id === undefined ? textField('address', clientAddressOf(request)) : { key_id };
  return { method: request.method, route: request.is404 ? '' : routeOf(request), ...who };
}

function routeOf(request: FastifyRequest): string {
  const path = request.url.split('?')[0] as string;
  return request.is404 ? (clip(path) as string) : (request.routeOptions.url ?? path);
}

/** The `data_id` in an object; undefined when it is missing or not a text. */
export function dataIdOf(fields: unknown): string | undefined {
  if (typeof fields !== 'object' || fields === null || !('data_id' in fields)) return undefined;
  return typeof fields.data_id === 'string' ? fields.data_id : undefined;
}

function keyOf(request: FastifyRequest): Pick<DescribedRequest, 'key_id' | 'key_hint'> {
  // Requests to open routes, and those that were refused before, have no identity.
  const identity = request.identity as FastifyRequest['identity'] | undefined;
  if (identity !== undefined) return { key_id: identity.keyId };
  const key = request.headers['x-api-key'];
  return typeof key === 'string' && key !== '' ? { key_hint: apiKeyHint(key) } : {};
}

function textField<Name extends string>(name: Name, value: unknown): Partial<Record<Name, string>> {
  return typeof value === 'string' ? ({ [name]: clip(value) } as Record<Name, string>) : {};
}
