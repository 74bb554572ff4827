import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import pg from 'pg';
import { ApiError, clip, unavailable, type ValidationDetail } from '../errors.ts';
import { storableTextPattern } from './schemas.ts';

type AjvError = NonNullable<FastifyError['validation']>[number];

/**
 * Answers every thrown error as `{"detail": …}`: refusals as they say, PostgreSQL being away or full as 503 with
 * Retry-After, anything else as 500 without a word about the inside.
 */
export function answerErrors(app: FastifyInstance): void {
  app.setErrorHandler((error: unknown, request, reply) => {
    const answer = toApiError(error, request);
    if (answer.status >= 500) request.log.error({ err: error }, answer.message);
    else request.log.info({ status: answer.status, detail: answer.message }, 'refused');
    return send(reply, answer);
  });
  app.setNotFoundHandler((request, reply) =>
    send(reply, new ApiError('not_found', `${request.method} ${clip(request.url.split('?')[0])} does not exist here.`)),
  );
}

function send(reply: FastifyReply, error: ApiError) {
  return reply.code(error.status).headers(error.headers).type('application/json').send({ detail: error.detail });
}

/** The refusal that an error stands for. */
export function toApiError(error: unknown, request: FastifyRequest): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof pg.DatabaseError) return fromPostgres(error);
  if (!(error instanceof Error)) return new ApiError('internal', 'Internal error.');
  const { validation, validationContext, statusCode, code } = error as Partial<FastifyError>;
  if (validation)
    return new ApiError(
      'validation',
      validation.map((one) => toDetail(one, validationContext, request)),
    );
  if (isConnectionFailure(error, code)) return unavailable('The database cannot be reached; nothing was stored.');
  if (statusCode === 404) return new ApiError('not_found', 'Not found.');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ApiError('bad_request', error.message);
  }
  return new ApiError('internal', 'Internal error; see the log of the server.');
}

/** SQLSTATE classes that can clear by themselves, so that a client should send again. */
const passingStates: [RegExp, string][] = [
  [/^08|^57P0|^53300/, 'The database cannot be reached; nothing was stored.'],
  [/^57014/, 'The database took too long; nothing was stored.'],
  [/^53100|^53/, 'The database has run out of space or memory; nothing was stored.'],
  [/^25006/, 'The database is read-only; nothing was stored.'],
  [/^40/, 'The database could not settle concurrent requests; nothing was stored.'],
];

function fromPostgres(error: pg.DatabaseError): ApiError {
  const passing = passingStates.find(([state]) => state.test(error.code ?? ''));
  return passing ? unavailable(passing[1]) : new ApiError('internal', 'Internal error; see the log of the server.');
}

/** Socket errors of Node and the sentences that `pg` itself throws when a connection is lost or none comes free. */
function isConnectionFailure(error: Error, code: string | undefined): boolean {
  return (
    /^(ECONNREFUSED|ECONNRESET|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT)$/.test(
      code ?? '',
    ) ||
    /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool after calling end)/.test(
      error.message,
    )
  );
}

const contextNames: Record<string, string> = { querystring: 'query', params: 'path', headers: 'header' };

function toDetail(error: AjvError, context: string | undefined, request: FastifyRequest): ValidationDetail {
  const path = error.instancePath.split('/').slice(1).map(unescapePointer);
  const parameters = error.params as { missingProperty?: string; limit?: number; pattern?: string };
  if (parameters.missingProperty !== undefined) path.push(parameters.missingProperty);
  const part = context === 'querystring' ? request.query : context === 'params' ? request.params : request.body;
  return {
    type: error.keyword === 'required' ? 'missing' : error.keyword,
    loc: [contextNames[context ?? ''] ?? context ?? 'body', ...path],
    msg: sentence(error, parameters.pattern, path.at(-1)),
    input: clip(valueAt(part, path)),
  };
}

function sentence(error: AjvError, pattern: string | undefined, field: string | number | undefined): string {
  if (error.keyword === 'required') return 'Field required';
  if (pattern === storableTextPattern) return `${field ?? 'the text'} must not hold U+0000 or a lone surrogate`;
  return `${field ?? 'the body'} ${error.message ?? 'is not valid'}`;
}

function unescapePointer(part: string): string | number {
  const text = part.replaceAll('~1', '/').replaceAll('~0', '~');
  return /^(0|[1-9]\d*)$/.test(text) ? Number(text) : text.toWellFormed();
}

function valueAt(value: unknown, path: (string | number)[]): unknown {
  let at: unknown = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}
