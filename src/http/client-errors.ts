import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpLimits } from './limits.ts';
import { commonHeaders } from './response-headers.ts';

type Limits = Pick<HttpLimits, 'headerBytesMax' | 'headersMsMax' | 'clientErrorDrainMsMax'>;

/**
 * Answers what is no HTTP request, or has too long a head, in the shape of all errors; no route and no hook sees it. The
 * connection is then closed, but read on for a while: closed at once, a sender that is not done would see a reset.
 */
export function createClientErrors(limits: Limits): (error: NodeJS.ErrnoException, socket: Socket) => void {
  const refusals = refusalsBy(limits);
  return (error, socket) => {
    const isReset = error.code === 'ECONNRESET';
    // The parser complains of all that comes after the first error too.
    if (socket.writableEnded && !isReset) return;
    if (isReset || !socket.writable) return void socket.destroy();
    const [status, detail] = refusals[error.code ?? ''] ?? notHttp;
    const body = JSON.stringify({ detail });
    const headers = {
      ...commonHeaders,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    };
    const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${body}`);
    socket.resume();
    const late = setTimeout(() => socket.destroy(), limits.clientErrorDrainMsMax);
    socket.once('close', () => clearTimeout(late));
  };
}

const notHttp: [number, string] = [400, 'What was sent is not valid HTTP/1.1.'];

const refusalsBy = ({ headerBytesMax, headersMsMax }: Limits): Record<string, [number, string]> => ({
  HPE_HEADER_OVERFLOW: [431, `The request line and headers are longer than ${headerBytesMax} bytes.`],
  ERR_HTTP_REQUEST_TIMEOUT: [
    408,
    `The headers did not arrive within ${headersMsMax} ms (headersMsMax), or the body not in time.`,
  ],
});
