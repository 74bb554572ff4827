import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpLimits } from './limits.ts';
import type { ReadingPace } from './reading-pace.ts';

type Limits = Pick<HttpLimits, 'bodyDrainBytesMax' | 'bodyDrainMsMax'>;

/**
 * A body that is answered before it has come (401, 404, 413 to who expects to be asked, a route that takes none) is read on,
 * keeping nothing, so that its sender reads the answer. That ends: the connection is closed after `bodyDrainBytesMax` or
 * `bodyDrainMsMax`. Node alone would read such a body for ever, as fast as it comes; and when the answer is the last of its
 * connection it would close at once, which resets a sender that is not done. A proxy then makes a 502 of the answer.
 * @returns what does so for an answer, once it has left; one function for all, since each request on its way needs it
 */
export function createDrainAfterAnswer(limits: Limits, pace: ReadingPace): (response: ServerResponse) => void {
  function onFinish(this: ServerResponse): void {
    const { req: request } = this;
    if (request.complete || request.destroyed) return;
    closeWhenRead(request.socket, request);
    drain(request, limits, pace);
  }
  // Node's own listener comes after this one. It leaves a body alone of which something has been read, and closes.
  return (response) => void response.prependListener('finish', onFinish);
}

/** Reads on what is left of a body, keeping nothing, and closes its connection when that is too much or takes too long. */
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
  // A body that has waited for room has paused.
  request.resume();
}

/** Should Node close a connection before `request` has come, it ends the server's half now and the other one then. */
function closeWhenRead(socket: Socket, request: IncomingMessage): void {
  let isEnding = false;
  socket.destroySoon = () => {
    isEnding = true;
    socket.end();
    // What stands behind the body is no request any more.
    const { parser } = socket as { parser?: { onIncoming?: unknown } };
    if (parser?.onIncoming != null) parser.onIncoming = () => 0;
  };
  request.once('end', () => {
    Reflect.deleteProperty(socket, 'destroySoon');
    if (isEnding) socket.destroySoon();
  });
}
