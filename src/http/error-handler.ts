import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { limits } from '../config.ts';
import { CommitInDoubt, passingFailure } from '../database/failures.ts';
import { ApiError, clip, unavailable, type ValidationDetail } from '../errors.ts';
import { collectPaths } from './paths.ts';
import { commonHeaders } from './response-headers.ts';
import { storableTextPattern } from './schemas.ts';

type AjvError = NonNullable<FastifyError['validation']>[number];

/**
 * Answers every thrown error as `{"detail": …}`: refusals as they say, PostgreSQL being away or full as 503 with
 * Retry-After, anything else as 500 without a word about the inside.
 */
export function answerErrors(app: FastifyInstance): void {
  const methodsOf = collectPaths(app);
  const answerUnknownPath = (request: FastifyRequest, reply: FastifyReply) => {
    const path = request.url.split('?')[0] as string;
    const what = `${request.method} ${clip(path)}`;
    const methods = methodsOf(path).join(', ');
    if (methods === '') return send(reply, new ApiError('not_found', `${what} does not exist here.`));
    const sentence = `${what} does not exist here; the methods of this path are ${methods}.`;
    return send(reply, new ApiError('method_not_allowed', sentence, { allow: methods }));
  };
  app.setNotFoundHandler(answerUnknownPath);
  app.setErrorHandler((error: unknown, request, reply) => {
    // Fastify has rules of its own for the method QUERY, also where there is no such route.
    if (request.is404) return answerUnknownPath(request, reply);
    const answer = toApiError(error, request);
    if (answer.status >= 500) request.log.error({ err: error }, answer.message);
    else request.log.info({ status: answer.status, detail: answer.message }, 'refused');
    return send(reply, answer);
  });
}

/** Answers a URL that cannot be decoded, which never reaches a route. */
export function answerBadUrl(_error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  // No hook has run.
  reply.headers(commonHeaders);
  const rule = 'a % must be followed by two hexadecimal digits, and what they stand for must be UTF-8';
  send(reply, new ApiError('bad_request', `The URL is not valid: ${rule}.`));
}

function send(reply: FastifyReply, error: ApiError) {
  return reply.code(error.status).headers(error.headers).type('application/json').send({ detail: error.detail });
}

/** The refusal that an error stands for. */
export function toApiError(error: unknown, request: FastifyRequest): ApiError {
  if (error instanceof ApiError) return error;
  const passing = passingFailure(error);
  if (passing !== undefined) {
    const what =
      error instanceof CommitInDoubt ? 'the request may have been stored: send it again' : 'nothing was stored';
    return unavailable(`${passing}; ${what}.`);
  }
  if (!(error instanceof Error)) return new ApiError('internal', 'Internal error.');
  if ((error as { code?: string }).code === foreignKeyViolation) {
    return new ApiError('conflict', 'Something that the request refers to was deleted meanwhile; nothing was stored.');
  }
  const { validation, validationContext, statusCode } = error as Partial<FastifyError>;
  const first = validation?.[0];
  if (first) return new ApiError('validation', [toDetail(first, validationContext, request)]);
  if (statusCode === 404) return new ApiError('not_found', 'Not found.');
  if (statusCode === 415) return new ApiError('unsupported_media_type', error.message);
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ApiError('bad_request', error.message);
  }
  return new ApiError('internal', 'Internal error; see the log of the server.');
}

const foreignKeyViolation = '23503';

const contextNames: Record<string, string> = { querystring: 'query', params: 'path', headers: 'header' };

function toDetail(error: AjvError, context: string | undefined, request: FastifyRequest): ValidationDetail {
  const part = context === 'querystring' ? request.query : context === 'params' ? request.params : request.body;
  const steps = error.instancePath.split('/').slice(1).map(unescapePointer);
  const { missingProperty, pattern } = error.params as { missingProperty?: string; pattern?: string };
  // A rule on the names of an object is broken by a name, which is then the last step and the input too.
  const { propertyName } = error as { propertyName?: string };
  for (const step of [missingProperty, propertyName]) if (step !== undefined) steps.push(step);
  const { path, value } = follow(part, steps);
  return {
    type: error.keyword === 'required' ? 'missing' : error.keyword,
    loc: [contextNames[context ?? ''] ?? context ?? 'body', ...path],
    msg: sentence(error, pattern, path.at(-1)),
    input: clip(propertyName ?? value),
  };
}

function sentence(error: AjvError, pattern: string | undefined, field: string | number | undefined): string {
  const name = field === undefined ? 'the body' : field === '' ? 'the name ""' : field;
  if (error.keyword === 'required') return 'Field required';
  if (pattern === storableTextPattern) return `${name} must not hold U+0000 or a lone surrogate`;
  return `${name} ${error.message ?? 'is not valid'}`;
}

function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** Walks to the field that is wrong: its value, and its place as it may be shown, numbers where there is an array. */
function follow(part: unknown, steps: string[]): { path: (string | number)[]; value: unknown } {
  let value = part;
  const path = steps.map((step) => {
    const isIndex = Array.isArray(value);
    const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, step);
    value = isThere ? (value as Record<string, unknown>)[step] : undefined;
    return isIndex ? Number(step) : showName(step);
  });
  return { path, value };
}

/** Names that are allowed are shown whole, so that they can be found; longer ones are cut. */
function showName(name: string): string {
  return name.length > limits.channelNameLengthMax
    ? `${name.slice(0, limits.channelNameLengthMax)}…`.toWellFormed()
    : name.toWellFormed();
}
