import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { HttpLimits } from './limits.ts';

/** In which header a request brings its id, and every answer has it. */
export const requestIdHeader = 'x-request-id';

/** What is safe in a header, in a line of a log and in a shell. */
const form = /^[\w.~:/+=@-]+$/;

/**
 * Names requests, so that a line of the log, an entry of the audit log and what a client or a proxy has noted can be brought together:
 * by the id that a request brings, if that is short and of plain characters; else by a new one, which no other process gives.
 */
export function createRequestIds({ requestIdLengthMax }: Pick<HttpLimits, 'requestIdLengthMax'>) {
  const process = randomBytes(5).toString('hex');
  let count = 0;
  return (request: Pick<IncomingMessage, 'headers'>): string => {
    const given = request.headers[requestIdHeader];
    if (typeof given === 'string' && given.length <= requestIdLengthMax && form.test(given)) return given;
    return `${process}-${(++count).toString(36)}`;
  };
}
