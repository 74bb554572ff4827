import type { AddressInfo } from 'node:net';
import { connect, type Socket } from 'node:net';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { buildApp } from '../../../src/app.ts';
import type { Database } from '../../../src/database/database.ts';
import type { App } from '../../../src/http/app-type.ts';
import type { TestConfig, TestLimits } from '../../support/test-server.ts';

export interface ListeningApp {
  app: App;
  port: number;
  /** Everything logged so far, from `trace` on, as JSON lines. */
  logged(): string;
  close(): Promise<void>;
}

/** The app on a database that the test owns, listening on loopback, its log kept. */
export async function startListeningApp(
  database: Database,
  config: TestConfig = {},
  limits: TestLimits = {},
): Promise<ListeningApp> {
  let text = '';
  const destination = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  const app = await buildApp({
    config: {
      FINALIZE_GRACE_SECONDS: 120,
      STREAM_IDLE_SECONDS: 3_600,
      BODY_LIMIT_BYTES: 64 * 1024,
      BODIES_LIMIT_BYTES: 64 * 1024 * 1024,
      REFERENCE_CLOCK: false,
      SESSION_HOURS: 1,
      METRICS_OPEN: true,
      ...config,
    },
    database,
    log: pino({ level: 'trace' }, destination),
    limits,
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return { app, port, logged: () => text, close: () => app.close() };
}

export interface RawAnswer {
  status: number;
  head: string;
  body: string;
}

/**
 * A connection that sends bytes as the test says and reads answers one after the other.
 * @param options.sendsOn it sends on when the server has ended its half, as most programs do
 */
export async function openConnection(port: number, { sendsOn = false } = {}) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: sendsOn });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  let received = Buffer.alloc(0);
  let ended: string | undefined;
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const resume of waiting) resume();
  };
  socket.on('data', (data) => {
    received = Buffer.concat([received, data]);
    wake();
  });
  socket.on('error', (error) => {
    ended ??= error.message;
    wake();
  });
  socket.on('close', () => {
    ended ??= 'closed';
    wake();
  });
  const more = () =>
    new Promise<void>((resolve) => {
      const resume = () => {
        waiting.delete(resume);
        resolve();
      };
      waiting.add(resume);
    });
  return {
    socket,
    /** Writes and waits until the bytes have left, as a client does that reads only after it has sent all. */
    send: (data: string | Buffer) => written(socket, data),
    /** The next answer, whole by its Content-Length. @throws when the connection ends before. */
    async answer(): Promise<RawAnswer> {
      for (;;) {
        const headEnd = received.indexOf('\r\n\r\n');
        if (headEnd >= 0) {
          const head = received.subarray(0, headEnd).toString('latin1');
          const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
          const end = headEnd + 4 + length;
          if (received.length >= end) {
            const body = received.subarray(headEnd + 4, end).toString('utf8');
            received = received.subarray(end);
            return { status: Number(head.split(' ')[1]), head, body };
          }
        }
        if (ended !== undefined) throw new Error(`the connection ended before the answer: ${ended}`);
        await more();
      }
    },
    /** How the connection ended: 'closed' in order, otherwise by which error. */
    async ended(): Promise<string> {
      while (ended === undefined) await more();
      return ended;
    },
  };
}

function written(socket: Socket, data: string | Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(data, (error) => (error ? reject(error) : resolve()));
  });
}
