import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createClientErrors } from '../../src/http/client-errors.ts';
import { httpLimits } from '../../src/http/limits.ts';

/** A server of HTTP whose errors are answered so. */
async function open() {
  const seen = { errors: 0, bytes: 0 };
  const pace = {
    took(_source: unknown, bytes: number) {
      seen.bytes += bytes;
    },
  };
  const answer = createClientErrors({ ...httpLimits, clientErrorDrainMsMax: 300 }, pace);
  const server = createServer((_request, response) => response.end());
  server.on('clientError', (error, socket) => {
    seen.errors++;
    answer(error, socket as Parameters<typeof answer>[1]);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  let text = '';
  socket
    .on('error', () => {})
    .on('data', (part) => {
      text += part;
    });
  onTestFinished(() => void socket.destroy());
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return { seen, socket, closed, answered: () => text };
}

test('what comes after the first error is read at a pace, and no error is made of it', async () => {
  const { seen, socket, closed, answered } = await open();
  socket.write('no request\r\n\r\n');
  await expect.poll(answered).toMatch(/^HTTP\/1\.1 400 /);
  const more = Buffer.alloc(1_000_000, 'x');
  await new Promise((resolve) => socket.write(more, resolve));
  await expect.poll(() => seen.bytes).toBeGreaterThanOrEqual(more.length);
  expect(seen.errors).toBe(1);
  socket.end();
  await closed;
});

test('one that ends its half within a request gets no answer, and its connection is closed', async () => {
  const { seen, socket, closed, answered } = await open();
  socket.end('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf');
  await closed;
  expect(seen.errors).toBe(1);
  expect(answered()).not.toContain(' 400 ');
});
