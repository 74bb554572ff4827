import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { followConnections } from '../../src/process/open-connections.ts';

/* The connections of a server that is to end. */

test('requests that were sent ahead on a connection are forgotten with it, answered or not', async () => {
  const server = createServer(() => {});
  const connections = followConnections(server);
  onTestFinished(() => void server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(50));
  await expect.poll(connections.inFlight).toBe(50);
  client.destroy();
  await expect.poll(connections.inFlight).toBe(0);
  await connections.gone();
});
