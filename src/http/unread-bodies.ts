import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpLimits } from './limits.ts';
import type { ReadingPace } from './reading-pace.ts';

type Limits = Pick<HttpLimits, 'bodyDrainBytesMax' | 'bodyDrainMsMax'>;

/**
 * Handles a request that is answered before its body has arrived: 401, 404, 413 for a client that waits for `100
 * Continue`, or a route without a body. The rest of the body is read and discarded, so that its sender reads the
 * answer. After `bodyDrainBytesMax` or `bodyDrainMsMax` the connection is closed. Node by itself would read such a body
 * for ever, as fast as it comes. And after the last answer of a connection it would close at once, which resets a
 * sender that is still sending; a proxy then answers 502.
 * @returns a function to be called with each response. It adds the same listener to all, since every request needs one.
 */
export function createDrainAfterAnswer(limits: Limits, pace: ReadingPace): (response: ServerResponse) => void {
  function onFinish(this: ServerResponse): void {
    const { req: request } = this;
    if (request.complete || request.destroyed) return;
    closeWhenRead(request.socket, request);
    drain(request, limits, pace);
  }
  // Prepended, so that it runs before Node's own listener. That one does not touch a body that is being read, and closes.
  return (response) => void response.prependListener('finish', onFinish);
}

/** Reads and discards the rest of a body. Closes its connection when that is too much or takes too long. */
export function drain(
  request: IncomingMessage,
  { bodyDrainBytesMax, bodyDrainMsMax }: Limits,
  pace: ReadingPace,
): void {
  let bytes = 0;
  const late = setTimeout(() => request.socket.destroy(), bodyDrainMsMax);
  request.once('close', () => clearTimeout(late));
  request.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes > bodyDrainBytesMax) request.socket.destroy();
    else pace.took(request, part.length);
  });
  request.read(0);
  // A body that has waited for room is paused.
  request.resume();
}

/**
 * Delays the close of a connection until `request` has arrived. If Node closes it before, only the server's half is
 * ended now, and the connection is destroyed when the request has ended.
 */
function closeWhenRead(socket: Socket, request: IncomingMessage): void {
  let isEnding = false;
  socket.destroySoon = () => {
    isEnding = true;
    socket.end();
    // Requests behind this body on the connection are not served any more.
    const { parser } = socket as { parser?: { onIncoming?: unknown } };
    if (parser?.onIncoming != null) parser.onIncoming = () => 0;
  };
  request.once('end', () => {
    Reflect.deleteProperty(socket, 'destroySoon');
    if (isEnding) socket.destroySoon();
  });
}
