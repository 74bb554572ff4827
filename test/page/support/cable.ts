import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A way to a server that can be cut: silently, as by a pulled cable, or so that the other end is told. */
export interface Cable {
  address: string;
  /** Nothing goes through any more, and nobody is told; new connections are taken and stay silent. */
  pull(): void;
  /** What is opened from now on goes through; whoever still uses what was cut learns that it is gone. */
  plug(): void;
  /** To another address from now on; open connections are broken. */
  lead(address: string): void;
  close(): Promise<void>;
}

export async function openCable(target: string): Promise<Cable> {
  let to = new URL(target);
  let isPulled = false;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    return socket;
  };
  const server: Server = createServer((client) => {
    keep(client);
    if (isPulled) return;
    const upstream = keep(connect(Number(to.port), to.hostname));
    client.pipe(upstream);
    upstream.pipe(client);
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const)
      one.once('close', () => other.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const breakAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    address: `http://127.0.0.1:${port}`,
    pull() {
      isPulled = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    plug() {
      isPulled = false;
      breakAll();
    },
    lead(address) {
      to = new URL(address);
      breakAll();
    },
    async close() {
      breakAll();
      server.close();
      await once(server, 'close');
    },
  };
}
