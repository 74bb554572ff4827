import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Answers of HTTP/1.0 that are not written to their end yet, by the connection that is made to look at them. */
const unfinished = new WeakMap<Socket, Set<ServerResponse>>();

/**
 * Before HTTP/1.1 the end of the connection is the end of an answer that is streamed, so one that breaks off would look whole.
 * From now on such a connection is reset instead of closed while one of its answers is unfinished, whoever closes it. Its client
 * reads what has come, and then an error. A Unix socket cannot be reset; there it stays as it was.
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
  // Those who close it are many: Fastify when a stream fails, the bounds of reads and connections, the end of the server.
  socket.destroy = (error) => {
    socket.destroy = close;
    const isBroken = [...answers].some((answer) => !answer.writableFinished);
    // Where its client has gone, or it is a Unix socket, there is no address.
    return isBroken && socket.remoteAddress !== undefined ? socket.resetAndDestroy() : socket.destroy(error);
  };
  return answers;
}
