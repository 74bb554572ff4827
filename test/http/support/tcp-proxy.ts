import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A port in front of another one that a test can close, cut and silence: the network between server and database. */
export interface TcpProxy {
  /** The given URL, with the proxy's address in it. */
  urlOf(url: string): string;
  /** Ends all connections and takes no new ones. */
  close(): Promise<void>;
  /** Takes connections again, on the same port. */
  open(): Promise<void>;
  /** Ends the connections that are there, as a restart of the database does. */
  cut(): void;
  /** From now on connections are taken and nothing passes, as behind a firewall that drops. */
  silence(): void;
  /** From now on what is sent arrives and no answer comes back, until the connections are cut. */
  swallowAnswers(): void;
}

export async function startTcpProxy(target: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let isSilent = false;
  let isSwallowing = false;
  const server = createServer((near) => {
    const far = connect(Number(port) || 5432, hostname || '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (data) => isSilent || (isSwallowing && from === far) || to.write(data));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        if (!isSilent) to.destroy();
      });
    }
  });
  const listen = (wanted: number) => new Promise<void>((resolve) => server.listen(wanted, '127.0.0.1', resolve));
  await listen(0);
  const own = (server.address() as AddressInfo).port;
  const cut = () => {
    isSwallowing = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    urlOf(url) {
      const changed = new URL(url);
      changed.hostname = '127.0.0.1';
      changed.port = String(own);
      return changed.href;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
    async open() {
      isSilent = false;
      await listen(own);
    },
    cut,
    silence() {
      isSilent = true;
    },
    swallowAnswers() {
      isSwallowing = true;
    },
  };
}
