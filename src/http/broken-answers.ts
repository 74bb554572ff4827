import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** For each patched connection of HTTP/1.0 its answers that are not completely written yet. */
const unfinished = new WeakMap<Socket, Set<ServerResponse>>();

/**
 * In HTTP/1.0 the end of the connection marks the end of a streamed answer, so a broken answer would look complete.
 * This patches such a connection: when anything closes it while an answer is unfinished, it is reset instead of closed.
 * The client then reads what has arrived, and after it an error. A Unix socket cannot be reset, so there nothing
 * changes.
 */
export function resetWhenBroken(request: IncomingMessage, response: ServerResponse): void {
  if (request.httpVersionMajor > 1 || request.httpVersionMinor > 0) return;
  const { socket } = request;
  const answers = unfinished.get(socket) ?? watch(socket);
  answers.add(response);
  response.once('close', () => answers.delete(response));
}

function watch(socket: Socket): Set<ServerResponse> {
  const answers = new Set<ServerResponse>();
  unfinished.set(socket, answers);
  const close = socket.destroy;
  // `destroy` is patched because many places call it: Fastify when a stream fails, the bounds of reads and connections,
  // the stop of the server.
  socket.destroy = (error) => {
    socket.destroy = close;
    const isBroken = [...answers].some((answer) => !answer.writableFinished);
    // `remoteAddress` is undefined when the client has gone, and for a Unix socket.
    return isBroken && socket.remoteAddress !== undefined ? socket.resetAndDestroy() : socket.destroy(error);
  };
  return answers;
}
