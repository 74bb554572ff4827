import { connect, type Socket } from 'node:net';

/** A connection that sends what it is told, byte for byte, and reads what comes or never reads. */
export interface Line {
  socket: Socket;
  /** Comes back when the system has taken the bytes or the connection has ended. */
  send(data: string | Buffer): Promise<void>;
  /** Ends the sending half; the other one stays open. */
  finish(): void;
  /** Statuses of the answers that have arrived so far, in order. */
  statuses(): number[];
  /** Comes back when so many answers have begun to arrive, or the connection has ended. */
  untilAnswers(count: number): Promise<void>;
  /** What has arrived, its last 64 KiB. */
  received(): string;
  isOpen(): boolean;
}

export interface LineOptions {
  /** False: answers stay in the kernel, as with a client that hangs. Default true. */
  reads?: boolean;
}

const receivedMax = 64 * 1024;
const connectMsMax = 3_000;

/** Opens a connection. @returns undefined when it is refused or reset, or the system has no room for it for 3 s */
export function openLine(port: number, { reads = true }: LineOptions = {}): Promise<Line | undefined> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const statuses: number[] = [];
  let received = '';
  let rest = '';
  socket.on('error', () => {});
  if (reads) {
    socket.setEncoding('latin1').on('data', (text: string) => {
      received = (received + text).slice(-receivedMax);
      const unread = rest + text;
      for (const [, status] of unread.matchAll(/HTTP\/1\.1 (\d{3}) /g)) statuses.push(Number(status));
      // A status line may come in two pieces.
      rest = unread.slice(unread.lastIndexOf('\n') + 1).slice(-12);
      if (/HTTP\/1\.1 \d{3} /.test(rest)) rest = '';
      socket.emit('statuses');
    });
  }
  const line: Line = {
    socket,
    send: (data) =>
      new Promise((resolve) => {
        if (socket.destroyed || !socket.writable) return resolve();
        const done = () => {
          socket.off('close', done);
          resolve();
        };
        socket.once('close', done);
        socket.write(data, done);
      }),
    finish: () => void socket.end(),
    statuses: () => [...statuses],
    async untilAnswers(count) {
      while (statuses.length < count && !socket.destroyed) {
        await new Promise<void>((resolve) => {
          const done = () => {
            socket.off('statuses', done).off('close', done);
            resolve();
          };
          socket.once('statuses', done).once('close', done);
        });
      }
    },
    received: () => received,
    isOpen: () => !socket.destroyed && socket.readyState === 'open',
  };
  socket.setMaxListeners(0);
  const late = setTimeout(() => socket.destroy(), connectMsMax);
  return new Promise((resolve) => {
    socket.once('connect', () => {
      clearTimeout(late);
      resolve(line);
    });
    socket.once('close', () => {
      clearTimeout(late);
      resolve(undefined);
    });
  });
}

/** Request line and headers. A header that stands twice is given as a list of pairs. */
export function head(
  method: string,
  path: string,
  headers: Record<string, string | number> | readonly (readonly [string, string | number])[] = {},
): string {
  const pairs = Array.isArray(headers) ? headers : Object.entries(headers);
  return `${method} ${path} HTTP/1.1\r\nHost: bounds\r\n${pairs.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

/** Bytes as a piece of a chunked body. */
export function piece(bytes: string | Buffer): Buffer {
  const data = Buffer.from(bytes as string);
  return Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')]);
}
