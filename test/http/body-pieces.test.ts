import { createServer, IncomingMessage } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { createPieceCollector } from '../../src/http/body-pieces.ts';
import { openConnection } from './support/listening-app.ts';

function open(piecesPerTurn = 1_000, headers: Record<string, string> = { 'transfer-encoding': 'chunked' }) {
  const blamed: Socket[] = [];
  const collect = createPieceCollector(piecesPerTurn, { onMany: (socket) => blamed.push(socket), onPart() {} });
  const request = new IncomingMessage(new Socket());
  request.headers = headers;
  collect(request);
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  return { request, parts, blamed, lengths: () => parts.map(({ length }) => length) };
}

test('small pieces of one read come together, in order, and before the end', async () => {
  const { request, parts, lengths } = open();
  const text = Array.from({ length: 500 }, (_, i) => String(i % 10));
  for (const one of text) request.push(Buffer.from(one));
  request.push(Buffer.alloc(5_000, 'x'));
  request.push(Buffer.from('y'));
  await nextTurn();
  request.push(Buffer.from('z'));
  request.push(null);
  await nextTurn();
  expect(lengths()).toEqual([500, 5_000, 1, 1]);
  expect(Buffer.concat(parts).toString()).toBe(`${text.join('')}${'x'.repeat(5_000)}yz`);
  expect(request.readableEnded).toBe(true);
});

test('16 KiB of them are handed on at once', async () => {
  const { request, lengths } = open(1_000_000);
  for (let i = 0; i < 20_000; i++) request.push(Buffer.from('a'));
  await nextTurn();
  expect(lengths()).toEqual([16_384, 3_616]);
});

test('more than piecesPerTurn in a turn are told, and begin anew in the next', async () => {
  const { request, blamed } = open(10);
  for (let i = 0; i < 10; i++) request.push(Buffer.from('a'));
  expect(blamed).toHaveLength(0);
  request.push(Buffer.from('a'));
  expect(blamed).toEqual([request.socket]);
  await nextTurn();
  await nextTurn();
  for (let i = 0; i < 10; i++) request.push(Buffer.from('a'));
  expect(blamed).toHaveLength(1);
});

test('while nobody reads, the sender is stopped as it is without', () => {
  const collect = createPieceCollector(1_000_000, { onMany() {}, onPart() {} });
  const request = new IncomingMessage(new Socket());
  request.headers = { 'transfer-encoding': 'chunked' };
  collect(request);
  let isWanted = true;
  for (let i = 0; isWanted && i < 200_000; i++) isWanted = request.push(Buffer.from('a'));
  expect(isWanted).toBe(false);
  expect(request.readableLength).toBeLessThanOrEqual(request.readableHighWaterMark + 16_384);
});

test('a body with a length is left alone', () => {
  const { request } = open(1, { 'content-length': '3' });
  expect(Object.hasOwn(request, 'push')).toBe(false);
});

test('of real reads they come together too, though Node goes through nextTick after each piece', async () => {
  const collect = createPieceCollector(1_000_000, { onMany() {}, onPart() {} });
  const parts: number[] = [];
  const server = createServer((request, response) => {
    collect(request);
    request.on('data', ({ length }: Buffer) => parts.push(length));
    request.on('end', () => response.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { socket, send, answer } = await openConnection((server.address() as AddressInfo).port);
  onTestFinished(() => void socket.destroy());
  const pieces = '1\r\nx\r\n'.repeat(5_000);
  await send(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${pieces}0\r\n\r\n`);
  expect((await answer()).status).toBe(200);
  expect(parts.reduce((sum, bytes) => sum + bytes, 0)).toBe(5_000);
  // As many as there were reads, and 30 kB on loopback are few.
  expect(parts.length).toBeLessThan(100);
});
