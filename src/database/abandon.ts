import { connect, type Socket } from 'node:net';
import type pg from 'pg';

/** What is not part of the types of `pg`: its session, and the connection below it. */
interface Session {
  processID: number;
  secretKey: number;
  host: string;
  port: number;
  connection: { stream: Socket };
}

/** PostgreSQL's message that asks for the end of what a session runs. */
const cancelRequestCode = 80_877_102;

/**
 * Ends what a connection runs when its client has gone, that is when the signal is aborted. Unless that ends within
 * `graceMs`, PostgreSQL is asked to cancel it, and the connection is cut. The connection cannot be reused, since a late
 * cancel request would hit its next statement.
 * @returns a function to call when the connection has been given back
 */
export function abandonOn(signal: AbortSignal, client: pg.PoolClient, graceMs: number): () => void {
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    timer = setTimeout(() => {
      const session = client as unknown as Session;
      askToCancel(session);
      session.connection.stream.destroy(signal.reason);
    }, graceMs);
  };
  signal.addEventListener('abort', onAbort);
  return () => {
    signal.removeEventListener('abort', onAbort);
    clearTimeout(timer);
  };
}

/** A connection of its own, which PostgreSQL closes when it has read 16 bytes. It takes them without TLS on every port. */
function askToCancel({ processID, secretKey, host, port, connection }: Session): void {
  const { remoteAddress, remotePort } = connection.stream;
  const socket =
    remoteAddress === undefined
      ? connect({ path: `${host}/.s.PGSQL.${port}` })
      : connect({ host: remoteAddress, port: remotePort ?? port });
  const message = Buffer.alloc(16);
  message.writeInt32BE(message.length, 0);
  message.writeInt32BE(cancelRequestCode, 4);
  message.writeInt32BE(processID, 8);
  message.writeInt32BE(secretKey, 12);
  socket.on('error', () => {}).end(message);
  // If nobody answers, the statement ends at its own time limit.
  socket.setTimeout(cancelMsMax, () => socket.destroy());
  socket.unref();
}

const cancelMsMax = 2_000;
