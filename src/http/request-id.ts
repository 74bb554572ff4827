import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { HttpLimits } from './limits.ts';

/** The header in which a request may bring an id, and in which every answer has it. */
export const requestIdHeader = 'x-request-id';

/** Characters that are safe in a header, in a line of a log and in a shell. */
const form = /^[\w.~:/+=@-]+$/;

/**
 * Gives each request an id, by which lines of the log, entries of the audit log and the notes of clients and proxies
 * can be matched. It is the id that the request brings, if that is short and has safe characters only. Otherwise it is
 * a new one, unique among all processes.
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
