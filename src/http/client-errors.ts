import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpLimits } from './limits.ts';
import type { ReadingPace } from './reading-pace.ts';
import { commonHeaders } from './response-headers.ts';

type Limits = Pick<
  HttpLimits,
  'headerBytesMax' | 'headersMsMax' | 'clientErrorDrainMsMax' | 'strangerHeadsBytesMax' | 'keyedHeadsBytesMax'
>;

/**
 * Answers bytes that are no HTTP request, and heads that are too long, with JSON like all errors. No route and no hook sees them.
 * After the answer the connection is read on for a while before it is closed. If it were closed at once, a client that is still
 * sending would see a reset instead of the answer.
 * @param pace spreads that reading over turns of the event loop
 */
export function createClientErrors(
  limits: Limits,
  pace: ReadingPace,
): (error: NodeJS.ErrnoException, socket: Socket) => void {
  const answers = answersBy(limits);
  return (error, socket) => {
    const hasGone = goneCodes.has(error.code);
    // After its first error the parser reports another one for everything that still comes.
    if (socket.writableEnded && !hasGone) return;
    if (hasGone || !socket.writable) return void socket.destroy();
    // A connection whose heads take too much room is closed to free memory, which its parser keeps until then.
    const isForRoom = headsCodes.has(error.code);
    socket.end(answers[error.code ?? ''] ?? notHttp, () => {
      if (isForRoom) socket.destroy();
    });
    if (!isForRoom) drain(socket, pace);
    const late = setTimeout(() => socket.destroy(), limits.clientErrorDrainMsMax);
    socket.once('close', () => clearTimeout(late));
  };
}

/** The client has reset its connection, or has ended it within a request: no answer would reach it, and each would cause another error. */
const goneCodes = new Set<string | undefined>(['ECONNRESET', 'HPE_INVALID_EOF_STATE']);

/** The heads of the connection take room that others need. */
const headsCodes = new Set<string | undefined>(['STRANGER_HEADS', 'KEYED_HEADS']);

/** Reads and discards what still comes, without the parser, which would report an error for each read. */
function drain(socket: Socket, pace: ReadingPace): void {
  socket.removeAllListeners('data');
  // Node detaches the parser from a socket that has a `data` listener.
  socket.on('data', (part: Buffer) => pace.took(socket, part.length));
  socket.resume();
}

function answerOf(status: number, detail: string): string {
  const body = JSON.stringify({ detail });
  const headers = {
    ...commonHeaders,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${body}`;
}

const notHttp = answerOf(400, 'What was sent is not valid HTTP/1.1.');

const answersBy = (limits: Limits): Record<string, string> => ({
  HPE_HEADER_OVERFLOW: answerOf(431, `The request line and headers are longer than ${limits.headerBytesMax} bytes.`),
  ERR_HTTP_REQUEST_TIMEOUT: answerOf(
    408,
    `The headers did not arrive within ${limits.headersMsMax} ms (headersMsMax), or the body not in time.`,
  ),
  STRANGER_HEADS: answerOf(
    408,
    'The headers had not arrived when others needed their room: all connections without a known key hold ' +
      `${limits.strangerHeadsBytesMax} bytes of headers at most (strangerHeadsBytesMax).`,
  ),
  KEYED_HEADS: answerOf(
    408,
    'The headers had not arrived when others needed their room: all connections with a key hold ' +
      `${limits.keyedHeadsBytesMax} bytes of headers at most (keyedHeadsBytesMax).`,
  ),
});
