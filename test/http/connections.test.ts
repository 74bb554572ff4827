import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createConnections } from '../../src/http/connections.ts';
import { httpLimits } from '../../src/http/limits.ts';
import { createReadingPace } from '../../src/http/reading-pace.ts';

/** A server below any app, every key known as an organization, that answers at once. @returns what was served, by turn of the event loop */
async function open(limits: Partial<typeof httpLimits> = {}) {
  const connections = createConnections({
    server: {},
    limits: { ...httpLimits, connectionsMax: 100, ...limits },
    pace: createReadingPace(1e6),
    organizationOf: (headers) => headers['x-api-key'] as string | undefined,
  });
  const perTurn: number[] = [];
  const served: string[] = [];
  let isCounting = false;
  const server = connections.createServer((request, response) => {
    served.push(request.headers['x-api-key'] as string);
    if (!isCounting) {
      isCounting = true;
      perTurn.push(0);
      setImmediate(() => {
        isCounting = false;
      });
    }
    perTurn[perTurn.length - 1] = (perTurn.at(-1) as number) + 1;
    response.end('x');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, perTurn, served, server };
}

test('requests that a known key has sent ahead are served a few in each turn, however fast they are answered', async () => {
  const { port, perTurn } = await open({ requestsPerConnectionMax: 4 });
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  let text = '';
  socket.setEncoding('latin1').on('data', (part) => {
    text += part;
  });
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nX-API-KEY: k\r\n\r\n'.repeat(400));
  await expect.poll(() => text.split('HTTP/1.1 200').length - 1, { timeout: 10_000 }).toBe(400);
  expect(perTurn.reduce((sum, one) => sum + one, 0)).toBe(400);
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(8);
});

test('requestsPerTurnMax bounds what is begun in a turn, and whoever asks for little waits for a part of what others ask', async () => {
  const requestsPerTurnMax = 3;
  const { port, perTurn, served } = await open({ requestsPerTurnMax });
  const clients = [...Array<string>(60).fill('many'), 'few'].map((key) => ({
    key,
    socket: connect(port, '127.0.0.1'),
  }));
  onTestFinished(() => {
    for (const { socket } of clients) socket.destroy();
  });
  const askAll = () => {
    for (const { key, socket } of clients) socket.write(`GET / HTTP/1.1\r\nHost: a\r\nX-API-KEY: ${key}\r\n\r\n`);
  };
  askAll();
  await expect.poll(() => served.length).toBe(61);
  // All connections have been taken by now, so what they ask for comes in one turn.
  served.length = 0;
  perTurn.length = 0;
  askAll();
  await expect.poll(() => served.length).toBe(61);
  expect(served.indexOf('few')).toBeLessThan(30);
  // Some of a turn when they have come, and some when it ends.
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(2 * requestsPerTurnMax);
});

test('what a connection has sent ahead is forgotten with it; only what was begun is told', async () => {
  const { port, served, server } = await open({ requestsPerConnectionMax: 1 });
  const requests: IncomingMessage[] = [];
  server.prependListener('request', (request, response) => {
    requests.push(request);
    // None is ever answered.
    response.end = () => response;
  });
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nX-API-KEY: k\r\n\r\n'.repeat(50));
  await expect.poll(() => requests.length).toBe(50);
  const connection = (requests[0] as IncomingMessage).socket;
  const closed = once(connection, 'close');
  connection.destroy();
  await closed;
  expect(served).toHaveLength(1);
  expect(requests.map(({ destroyed }) => destroyed)).toEqual([true, ...Array<boolean>(49).fill(false)]);
});
