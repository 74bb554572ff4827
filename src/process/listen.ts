import type { Server } from 'node:http';
import { createServer, Server as SocketServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from '../http/app-type.ts';
import type { ProcessLimits } from './limits.ts';
import { followConnections } from './open-connections.ts';

/** An app that takes connections from sockets that this process has inherited. */
export interface Front {
  /** The number of requests that are not answered yet. */
  inFlight(): number;
  /**
   * Ends it in order: each connection is closed by the answer to one more request, and requests in flight are answered.
   * A second call, with less time, shortens the first.
   * @param options.drainMs how long an idle connection stays open for that request
   * @param options.takesNew whether new connections are accepted in that time, because no other process would; otherwise
   * accepting ends now
   */
  close(options: { drainMs: number; takesNew: boolean }): Promise<void>;
}

type Limits = Pick<ProcessLimits, 'listenBacklog' | 'shutdownMsMax'>;

/**
 * Listens on inherited sockets.
 * @param descriptors file descriptors of the sockets, at least one
 * @throws Error when one of them is not a socket that can listen
 */
export async function listen(app: App, descriptors: number[], limits: Limits): Promise<Front> {
  const connections = followConnections(app.server);
  // Fastify waits for open requests only when it listens by itself. This hook makes its `close` wait for them here too.
  app.addHook('preClose', connections.gone);
  await app.ready();
  const [first, ...others] = descriptors as [number, ...number[]];
  const more = others.map(() =>
    createServer({ allowHalfOpen: true, noDelay: true }, (socket) => void app.server.emit('connection', socket)),
  );
  await accept(app.server, first, limits.listenBacklog);
  for (const [i, server] of more.entries()) await accept(server, others[i] as number, limits.listenBacklog);

  const stopAccepting = () => {
    // Not the method of the HTTP server, which closes every idle connection at once.
    for (const server of [app.server, ...more]) SocketServer.prototype.close.call(server);
  };
  let ending: Promise<void> | undefined;
  let hurry = () => {};

  async function end(drainMs: number, takesNew: boolean): Promise<void> {
    if (!takesNew) stopAccepting();
    app.endEventStreams?.();
    const hurried = new Promise<void>((resolve) => {
      hurry = resolve;
    });
    const deadline = performance.now() + drainMs;
    await Promise.race([connections.drain(drainMs), hurried]);
    if (takesNew) {
      stopAccepting();
      // A connection that was accepted last has not sent its request yet.
      await Promise.race([connections.drain(deadline - performance.now()), hurried]);
    }
    await finish(app, connections, limits);
  }
  return {
    inFlight: connections.inFlight,
    async close({ drainMs, takesNew }) {
      if (ending === undefined) ending = end(drainMs, takesNew);
      else void sleep(drainMs).then(() => hurry());
      await ending;
    },
  };
}

function accept(server: Server | SocketServer, fd: number, backlog: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd }, backlog, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

const sweepMs = 20;

/** Waits for the answers to requests in flight, and cuts their connections after `shutdownMsMax`. */
async function finish(app: App, connections: ReturnType<typeof followConnections>, limits: Limits): Promise<void> {
  const giveUp = setTimeout(connections.closeAll, limits.shutdownMsMax);
  // An answer whose headers were sent before the stop did not say `Connection: close`, so its connection stays open.
  const sweep = setInterval(connections.closeIdle, sweepMs);
  try {
    // A flush that hangs with the database must not delay the stop for longer than its requests may.
    await Promise.race([app.close(), sleep(limits.shutdownMsMax + sweepMs, undefined, { ref: false })]);
  } finally {
    clearTimeout(giveUp);
    clearInterval(sweep);
  }
}

/** The address to show to clients. For a server that listens on all addresses it names loopback. */
export function endpointOf(host: string, port: number): string {
  const reachable =
    host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  return `http://${reachable}:${port}`;
}
