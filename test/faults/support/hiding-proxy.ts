import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A port in front of a server that lets every request through and no answer: it cuts the connection in its place. */
export interface HidingProxy {
  endpoint: string;
  /** Answers that were swallowed. An answer leaves the server after its commit. */
  hidden(): number;
  close(): Promise<void>;
}

export async function startHidingProxy(target: string): Promise<HidingProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let hidden = 0;
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port: Number(port), host: hostname, noDelay: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
    }
    near.on('data', (data) => far.write(data));
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
    far.once('data', () => {
      hidden++;
      // Every second client sees an orderly end, the others a reset.
      if (hidden % 2 === 0) near.end();
      else near.resetAndDestroy();
      far.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hidden: () => hidden,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
