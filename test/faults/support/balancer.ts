import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP balancer that knows nothing of HTTP: the next server in turn that takes the connection gets it. */
export interface Balancer {
  endpoint: string;
  close(): Promise<void>;
}

export async function startBalancer(endpoints: readonly string[]): Promise<Balancer> {
  const ports = endpoints.map((endpoint) => Number(new URL(endpoint).port));
  const sockets = new Set<Socket>();
  let turn = 0;
  // Half-open, so that an end passes through as an end.
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (near) => {
    keep(near);
    const first = turn++;
    const attempt = (tries: number) => {
      const far = connect({
        port: ports[(first + tries) % ports.length] as number,
        host: '127.0.0.1',
        noDelay: true,
        allowHalfOpen: true,
      });
      keep(far);
      far.once('error', () => {
        if (far.connecting || far.bytesRead + far.bytesWritten > 0 || tries + 1 >= ports.length) near.resetAndDestroy();
        else attempt(tries + 1);
      });
      far.once('connect', () => {
        near.pipe(far);
        far.pipe(near);
        near.once('close', () => far.destroy());
        far.once('close', () => near.destroy());
      });
    };
    attempt(0);
  });
  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
