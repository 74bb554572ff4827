/** A socket that listens and is held by this process, which accepts nothing: as systemd holds one. */
export interface HeldSocket {
  fd: number;
  port: number;
  close(): void;
}

/** The system has it as systemd makes it: bound, and listened on before anybody serves. */
export async function holdSocket(): Promise<HeldSocket> {
  const { _createServerHandle } = await import('node:net').then((net) => net.default as never as Internal);
  const handle = _createServerHandle('127.0.0.1', 0, 4, -1, 0);
  const name: { port?: number } = {};
  handle.getsockname(name);
  return { fd: handle.fd, port: name.port as number, close: () => handle.close() };
}

interface Internal {
  _createServerHandle(address: string, port: number, family: number, fd: number, flags: number): Handle;
}
interface Handle {
  fd: number;
  getsockname(into: { port?: number }): number;
  close(): void;
}
