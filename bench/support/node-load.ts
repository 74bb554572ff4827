import { connect, type Socket } from 'node:net';

/*
 * A load generator in Node: with a closed loop if wrk is not installed, with an open loop to measure latency. It writes
 * HTTP/1.1 on plain sockets, one request at a time on each, because node:http would cost more than many a measured server.
 */

export interface NodeLoad {
  url: string;
  path: string;
  headers: Record<string, string>;
  expectedStatus: number;
  connections: number;
  body(n: number): string;
}

/** Closed loop: every connection sends its next request after the last answer, for `seconds` or until `requestsMax` are sent. */
export async function runClosedLoop(
  load: NodeLoad,
  { warmSeconds, seconds, requestsMax }: { warmSeconds: number; seconds: number; requestsMax: number },
): Promise<{ sent: number; counted: number; countedSeconds: number }> {
  const connections = await openConnections(load);
  const startedAt = performance.now();
  const countFrom = startedAt + warmSeconds * 1_000;
  const endAt = countFrom + seconds * 1_000;
  let sent = 0;
  let counted = 0;
  let lastAt = countFrom;
  const work = connections.map(async (connection) => {
    while (sent < requestsMax && performance.now() < endAt) {
      await connection.send(load.body(sent++));
      const now = performance.now();
      if (now < countFrom) continue;
      counted++;
      lastAt = now;
    }
  });
  try {
    await Promise.all(work);
  } finally {
    for (const connection of connections) connection.close();
  }
  return { sent, counted, countedSeconds: (lastAt - countFrom) / 1_000 };
}

export interface OpenLoopResult {
  sent: number;
  /** Milliseconds from the time at which each request was due to the last byte of its answer, ascending. */
  latenciesMs: Float64Array;
}

/**
 * Open loop: sends requests at fixed times, however slow the server is. When all connections are busy a request waits, and
 * that wait counts as latency. So a server that stalls cannot hide it by slowing the generator down.
 */
export async function runOpenLoop(
  load: NodeLoad,
  { perSecond, seconds }: { perSecond: number; seconds: number },
): Promise<OpenLoopResult> {
  const connections = await openConnections(load);
  const total = Math.floor(perSecond * seconds);
  const latenciesMs = new Float64Array(total);
  const idle = [...connections];
  const startedAt = performance.now();
  const dueAt = (n: number) => startedAt + (n * 1_000) / perSecond;
  let next = 0;
  let answered = 0;
  try {
    await new Promise<void>((resolve, reject) => {
      const sendDue = () => {
        while (idle.length > 0 && next < total && dueAt(next) <= performance.now()) sendNext(idle.pop() as Connection);
      };
      const sendNext = (connection: Connection) => {
        const n = next++;
        connection.send(load.body(n)).then(() => {
          latenciesMs[n] = performance.now() - dueAt(n);
          answered++;
          idle.push(connection);
          if (answered === total) {
            clearInterval(timer);
            resolve();
          } else sendDue();
        }, reject);
      };
      const timer = setInterval(sendDue, 1);
    });
  } finally {
    for (const connection of connections) connection.close();
  }
  return { sent: total, latenciesMs: latenciesMs.sort() };
}

interface Connection {
  /** Resolves with the last byte of the answer. @throws when it is not the expected one. */
  send(body: string): Promise<void>;
  close(): void;
}

function openConnections(load: NodeLoad): Promise<Connection[]> {
  return Promise.all(Array.from({ length: load.connections }, () => openConnection(load)));
}

async function openConnection({ url, path, headers, expectedStatus }: NodeLoad): Promise<Connection> {
  const { hostname, port, host } = new URL(url);
  const socket = await connected(connect({ host: hostname, port: Number(port), noDelay: true }));
  const lines = Object.entries({ Host: host, 'Content-Type': 'application/json', ...headers });
  const head = `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}Content-Length: `;
  let waiting: { resolve(): void; reject(error: Error): void } | undefined;
  let received = '';
  const fail = (error: Error) => {
    waiting?.reject(error);
    waiting = undefined;
    socket.destroy();
  };
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    received += text;
    const bodyAt = received.indexOf('\r\n\r\n') + 4;
    if (bodyAt < 4) return;
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(received.slice(0, bodyAt))?.[1] ?? 0);
    if (received.length < bodyAt + length) return;
    const status = Number(received.slice(9, 12));
    if (status !== expectedStatus)
      return fail(new Error(`answered ${status}: ${received.slice(bodyAt, bodyAt + 300)}`));
    const done = waiting;
    received = '';
    waiting = undefined;
    done?.resolve();
  });
  socket.on('error', fail);
  socket.on('close', () => fail(new Error('the server closed a connection')));
  return {
    send(body) {
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        socket.write(`${head}${Buffer.byteLength(body)}\r\n\r\n${body}`);
      });
    },
    close() {
      waiting = undefined;
      socket.destroy();
    },
  };
}

function connected(socket: Socket): Promise<Socket> {
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
}
