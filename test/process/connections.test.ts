import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Connections, followConnections } from '../../src/process/connections.ts';

let server: http.Server;
let connections: Connections;
let client: net.Socket;
let received = '';

beforeEach(async () => {
  received = '';
  server = http.createServer((_request, response) => response.end('stored'));
  connections = followConnections(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  client = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.on('data', (part) => {
    received += part;
  });
  client.on('error', () => {});
  await once(client, 'connect');
  client.write(request);
  await expect.poll(() => answers()).toBe(1);
});
afterEach(() => {
  client.destroy();
  server.closeAllConnections();
  server.close();
});

const request = 'POST / HTTP/1.1\r\nHost: lab\r\nContent-Length: 2\r\n\r\n{}';
const answers = () => received.split('stored').length - 1;

/** Nothing is read meanwhile, and what is sent waits in the kernel. */
function blockFor(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

test('a request that has arrived and was not read yet is answered before its connection is closed', async () => {
  const other = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(other, 'connect');
  const otherClosed = once(other, 'close');
  client.write(request);
  blockFor(20);
  connections.closeIdle();
  await expect.poll(() => answers()).toBe(2);
  // The other one has nothing on its way.
  await otherClosed;
});

test('a request of which a part has been read is waited for', async () => {
  const middle = request.indexOf('Content');
  client.write(request.slice(0, middle));
  await sleep(50);
  connections.closeIdle();
  await sleep(50);
  expect(client.destroyed).toBe(false);
  client.write(request.slice(middle));
  await expect.poll(() => answers()).toBe(2);
});

test('a connection on which nothing goes on is closed', async () => {
  connections.closeIdle();
  await once(client, 'close');
  expect(answers()).toBe(1);
});

test('a drain says with each answer that the connection ends', async () => {
  const drained = connections.drain(5_000);
  client.write(request);
  await once(client, 'close');
  await drained;
  expect(answers()).toBe(2);
  expect(received.toLowerCase()).toContain('connection: close');
});
