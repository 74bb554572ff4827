/** One entry of a 422 answer, in FastAPI's shape: `loc` names the field from the outside in. */
export interface ValidationDetail {
  type: string;
  loc: (string | number)[];
  msg: string;
  input?: unknown;
}

/** Every kind of refusal and its HTTP status. */
export const errorStatus = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  timeout: 408,
  conflict: 409,
  body_too_large: 413,
  unsupported_media_type: 415,
  range_not_satisfiable: 416,
  validation: 422,
  internal: 500,
  unavailable: 503,
  insufficient_storage: 507,
} as const;
export type ErrorCode = keyof typeof errorStatus;

/** A refusal that services and stores throw and the error handler answers as `{"detail": …}`. */
export class ApiError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly detail: string | ValidationDetail[];
  readonly headers: Record<string, string>;
  /** Which stream it is about, for the log, where only what was refused says so. */
  dataId: string | undefined;

  constructor(code: ErrorCode, detail: string | ValidationDetail[], headers: Record<string, string> = {}) {
    super(typeof detail === 'string' ? detail : detail.map((one) => one.msg).join('; '));
    this.code = code;
    this.status = errorStatus[code];
    this.detail = detail;
    this.headers = headers;
  }
}

/** Seconds that a client is told to wait before it tries again when the database cannot serve. */
const retryAfterSeconds = '1';

export const notFound = (what: string) => new ApiError('not_found', `${what} not found`);
export const unavailable = (why: string, headers: Record<string, string> = {}) =>
  new ApiError('unavailable', why, { 'retry-after': retryAfterSeconds, ...headers });
export const invalid = (loc: (string | number)[], msg: string, input?: unknown, type = 'value_error') =>
  new ApiError('validation', [{ type, loc, msg, input: clip(input) }]);

const inputLengthMax = 100;

/** What a 422 echoes of the input: nothing of arrays and objects, 100 characters of a text. */
export function clip(input: unknown): unknown {
  if (typeof input === 'string') {
    const text = input.toWellFormed();
    return text.length > inputLengthMax ? `${text.slice(0, inputLengthMax)}…`.toWellFormed() : text;
  }
  if (typeof input === 'number') return Number.isFinite(input) ? input : String(input);
  if (typeof input === 'boolean' || input === null) return input;
  return undefined;
}

/** What a command or a start that failed says: its sentence, and the stack of what no sentence was written for. */
export function explainFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === 'Error' ? error.message : `${error.message}\n${error.stack}`;
}
