import type { Server } from 'node:http';
import { createServer, Server as SocketServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from '../http/app-type.ts';
import type { ProcessLimits } from './limits.ts';
import { followConnections } from './open-connections.ts';

/** An app that takes connections from sockets that this process has inherited. */
export interface Front {
  /** Requests that are not answered yet. */
  inFlight(): number;
  /**
   * Ends it in order: each connection is closed by the answer to one more request, and requests in flight are answered.
   * Called again, with less time, it hurries.
   * @param options.drainMs how long a connection is left open for that request
   * @param options.takesNew until then new connections are taken, since nobody else would; otherwise from now on none
   */
  close(options: { drainMs: number; takesNew: boolean }): Promise<void>;
}

type Limits = Pick<ProcessLimits, 'listenBacklog' | 'shutdownMsMax'>;

/**
 * Listens on inherited sockets.
 * @param descriptors at least one
 * @throws when one is no socket that can be listened on
 */
export async function listen(app: App, descriptors: number[], limits: Limits): Promise<Front> {
  const connections = followConnections(app.server);
  // Fastify waits for requests of a server that it listens with itself. Here nothing may be closed below one that is answered.
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
      // One that was taken last has not sent its request yet.
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

/** Requests in flight are answered, or cut after `shutdownMsMax`. */
async function finish(app: App, connections: ReturnType<typeof followConnections>, limits: Limits): Promise<void> {
  const giveUp = setTimeout(connections.closeAll, limits.shutdownMsMax);
  // An answer that had begun before the end was known leaves its connection open.
  const sweep = setInterval(connections.closeIdle, sweepMs);
  try {
    // A flush that hangs with the database must not hold up the end for longer than its requests may.
    await Promise.race([app.close(), sleep(limits.shutdownMsMax + sweepMs, undefined, { ref: false })]);
  } finally {
    clearTimeout(giveUp);
    clearInterval(sweep);
  }
}

/** The address to give to clients: a server that listens on all addresses is reached on loopback from here. */
export function endpointOf(host: string, port: number): string {
  const reachable =
    host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  return `http://${reachable}:${port}`;
}
