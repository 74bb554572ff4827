import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { CommitInDoubt, passingFailure } from '../database/failures.ts';
import { hasSqlstate, sqlstates } from '../database/sqlstates.ts';
import { ApiError, clip, unavailable } from '../errors.ts';
import { describeRequest, kindOf } from './described-request.ts';
import { collectPaths } from './paths.ts';
import { ClientGone } from './reading-room.ts';
import { hasGone } from './readings.ts';
import type { RefusalLog } from './refusal-log.ts';
import { requestIdHeader } from './request-id.ts';
import { commonHeaders } from './response-headers.ts';
import { toDetail } from './validation-detail.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The request was logged as a refusal, or counted as one. */
    isNoted: boolean;
  }
}

/**
 * Answers every thrown error as `{"detail": …}`: an `ApiError` with its own status, PostgreSQL being away or full as
 * 503 with Retry-After, and anything else as 500 without internal details. Each is logged with its sender and stream,
 * unless the log of refusals only counts it.
 */
export function answerErrors(app: FastifyInstance, refusalLog?: RefusalLog): void {
  const methodsOf = collectPaths(app);
  const answerUnknownPath = (request: FastifyRequest, reply: FastifyReply) => {
    const path = request.url.split('?')[0] as string;
    const what = `${request.method} ${clip(path)}`;
    const methods = methodsOf(path).join(', ');
    if (methods === '') return refuse(request, reply, new ApiError('not_found', `${what} does not exist here.`));
    const sentence = `${what} does not exist here; the methods of this path are ${methods}.`;
    return refuse(request, reply, new ApiError('method_not_allowed', sentence, { allow: methods }));
  };
  app.decorateRequest('isNoted', false);
  const note = (request: FastifyRequest, reply: FastifyReply, answer: ApiError, error: unknown) => {
    request.isNoted = true;
    const isStranger = request.identity === undefined;
    if (refusalLog === undefined || refusalLog.takes(answer.status, isStranger, () => kindOf(request)))
      logRefusal(request, reply, answer, error);
  };
  const refuse = (request: FastifyRequest, reply: FastifyReply, answer: ApiError) => {
    note(request, reply, answer, answer);
    return send(reply, answer);
  };
  app.setNotFoundHandler(answerUnknownPath);
  app.setErrorHandler((error: unknown, request, reply) => {
    // For the method QUERY Fastify throws errors of its own even when there is no such route.
    if (request.is404) return answerUnknownPath(request, reply);
    if (error instanceof ClientGone || hasGone(request)) {
      // The client has gone, so nothing is answered.
      reply.hijack();
      return;
    }
    const answer = toApiError(error, request);
    note(request, reply, answer, error);
    if (!request.raw.socket.destroyed) return send(reply, answer);
    // The client has gone. Without an answer, a request that breaks off costs a third less.
    request.bodyPlace?.leave();
    reply.hijack();
  });
}

/** Answers a URL that cannot be decoded. Such a request never reaches a route. */
export function answerBadUrl(_error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  // No hook has run, so the common headers are set here.
  reply.headers(commonHeaders).header(requestIdHeader, request.id);
  const rule = 'a % must be followed by two hexadecimal digits, and what they stand for must be UTF-8';
  send(reply, new ApiError('bad_request', `The URL is not valid: ${rule}.`));
}

function logRefusal(request: FastifyRequest, reply: FastifyReply, answer: ApiError, error: unknown): void {
  const { status, message } = answer;
  const what = describeRequest(request, reply, answer);
  if (status >= 500) request.log.error({ status, ...what, err: error }, message);
  else request.log.info({ status, detail: message, ...what }, 'refused');
}

function send(reply: FastifyReply, error: ApiError) {
  return reply.code(error.status).headers(error.headers).type('application/json').send({ detail: error.detail });
}

/** Translates any thrown error into the refusal that is answered. */
export function toApiError(error: unknown, request: FastifyRequest): ApiError {
  if (error instanceof ApiError) return error;
  const passing = passingFailure(error);
  if (passing !== undefined) {
    const what =
      error instanceof CommitInDoubt ? 'the request may have been stored: send it again' : 'nothing was stored';
    return unavailable(`${passing}; ${what}.`);
  }
  if (!(error instanceof Error)) return new ApiError('internal', 'Internal error.');
  if (hasSqlstate(error, sqlstates.foreignKeyViolation)) {
    return new ApiError('conflict', 'Something that the request refers to was deleted meanwhile; nothing was stored.');
  }
  const { validation, validationContext, statusCode } = error as Partial<FastifyError>;
  const first = validation?.[0];
  if (first) {
    const { input, ...detail } = toDetail(first, validationContext, partOf(request, validationContext));
    const isSecret = request.routeOptions.config.readsSecret === true;
    return new ApiError('validation', [isSecret ? detail : { ...detail, input }]);
  }
  if (statusCode === 404) return new ApiError('not_found', 'Not found.');
  if (statusCode === 415) return new ApiError('unsupported_media_type', error.message);
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ApiError('bad_request', error.message);
  }
  return new ApiError('internal', 'Internal error; see the log of the server.');
}

function partOf(request: FastifyRequest, context: string | undefined): unknown {
  return context === 'querystring' ? request.query : context === 'params' ? request.params : request.body;
}
