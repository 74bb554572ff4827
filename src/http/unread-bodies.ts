import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpLimits } from './limits.ts';
import type { ReadingPace } from './reading-pace.ts';

type Limits = Pick<HttpLimits, 'bodyDrainBytesMax' | 'bodyDrainMsMax'>;

/**
 * A body that was answered before it was read (401, 404, a route that takes none) is read on, keeping nothing, so that its
 * sender reads the answer. That ends: the connection is closed after `bodyDrainBytesMax` or `bodyDrainMsMax`. Node alone
 * would read such a body for ever, as fast as it comes.
 * @returns what does so for an answer, once it has left; one function for all, since each request on its way needs it
 */
export function createDrainAfterAnswer(limits: Limits, pace: ReadingPace): (response: ServerResponse) => void {
  function onFinish(this: ServerResponse): void {
    const { req: request } = this;
    if (!request.complete && !request.destroyed && this.shouldKeepAlive) drain(request, limits, pace);
  }
  // Node's own listener comes after this one, and leaves a body alone of which something has been read.
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
}
