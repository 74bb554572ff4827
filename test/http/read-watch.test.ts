import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createReadWatch } from '../../src/http/read-watch.ts';

/** A server that closes each connection as soon as it is told of a read, when it has been asked to. */
async function listen() {
  let closes = false;
  const told: number[] = [];
  const watch = createReadWatch((socket) => {
    told.push(socket.bytesRead);
    if (closes) socket.destroy();
  });
  const server = createServer((_, response) => response.end());
  server.on('connection', watch);
  // After an error of the parser what comes goes through JavaScript, and is thrown away.
  server.on('clientError', (_, socket) => {
    closes = true;
    socket.on('data', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, told };
}

test('a connection may be closed by whoever is told of a read, also where Node hands the read to JavaScript', async () => {
  const failures: unknown[] = [];
  const note = (error: unknown) => void failures.push(error);
  process.on('uncaughtException', note);
  onTestFinished(() => void process.off('uncaughtException', note));
  const { port, told } = await listen();
  const client = connect(port, '127.0.0.1');
  client.on('error', () => {});
  client.write('GET / HTTP/1.1\r\nHost: a\r\nno header\r\n\r\n');
  await expect.poll(() => told.length).toBeGreaterThan(0);
  client.write('more');
  await once(client, 'close');
  expect(failures).toEqual([]);
  expect(told.at(-1)).toBeGreaterThan(told[0] as number);
});
