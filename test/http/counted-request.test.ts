import { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { addHead, noArrivals, takeRead } from '../../src/http/arrivals.ts';
import { CountedRequest, headBytesOf } from '../../src/http/counted-request.ts';

/* What is known of a request as it comes: small pieces of its body come together, and bytes are told apart. */

function open(headers: Record<string, string> = { 'transfer-encoding': 'chunked' }) {
  const request = new CountedRequest(new Socket());
  request.headers = headers;
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  return { request, parts, lengths: () => parts.map(({ length }) => length) };
}

test('small pieces of one read come together, in order, and before the end', async () => {
  const { request, parts, lengths } = open();
  const text = Array.from({ length: 500 }, (_, i) => String(i % 10));
  for (const one of text) request.push(Buffer.from(one));
  request.push(Buffer.alloc(5_000, 'x'));
  request.push(Buffer.from('y'));
  request.handOn();
  await nextTurn();
  request.push(Buffer.from('z'));
  request.push(null);
  await nextTurn();
  expect(lengths()).toEqual([500, 5_000, 1, 1]);
  expect(Buffer.concat(parts).toString()).toBe(`${text.join('')}${'x'.repeat(5_000)}yz`);
  expect(request.readableEnded).toBe(true);
  expect(request.bodyBytes).toBe(5_502);
});

test('16 KiB of them are handed on at once', async () => {
  const { request, lengths } = open();
  for (let i = 0; i < 20_000; i++) request.push(Buffer.from('a'));
  request.handOn();
  await nextTurn();
  expect(lengths()).toEqual([16_384, 3_616]);
});

test('while nobody reads, the sender is stopped as it is without', () => {
  const request = new CountedRequest(new Socket());
  request.headers = { 'transfer-encoding': 'chunked' };
  let isWanted = true;
  for (let i = 0; isWanted && i < 200_000; i++) isWanted = request.push(Buffer.from('a'));
  expect(isWanted).toBe(false);
  expect(request.readableLength).toBeLessThanOrEqual(request.readableHighWaterMark + 16_384);
});

test('a body with a length is handed on as it comes', async () => {
  const { request, lengths } = open({ 'content-length': '3' });
  request.push(Buffer.from('a'));
  request.push(Buffer.from('bc'));
  await nextTurn();
  expect(lengths()).toEqual([1, 2]);
});

const headText = 'POST /path HTTP/1.1\r\nHost: somewhere\r\nX-Name: value\r\n\r\n';

function headed(headers: Record<string, string>): CountedRequest {
  const { request } = open(headers);
  Object.assign(request, { method: 'POST', url: '/path', rawHeaders: ['Host', 'somewhere', 'X-Name', 'value'] });
  request.headBytes = headBytesOf(request);
  return request;
}

test('a head has as many bytes as it had on the line', () => {
  expect(headed({}).headBytes).toBe(headText.length);
});

test('bytes that are no body and no complete head belong to one that is not complete', () => {
  const arrivals = noArrivals();
  expect(takeRead(arrivals, 20)).toBe(20);
  expect(arrivals.unfinishedBytes).toBe(20);
  const request = headed({ 'content-length': '100' });
  addHead(arrivals, request);
  request.push(Buffer.alloc(60));
  const read = headText.length + 60;
  expect(takeRead(arrivals, read)).toBe(headText.length - 20);
  expect(arrivals.unfinishedBytes).toBe(0);
  // The rest of the body, and what stands behind it.
  request.push(Buffer.alloc(40));
  request.complete = true;
  expect(takeRead(arrivals, read + 40 + 500)).toBe(500);
  expect(arrivals.unfinishedBytes).toBe(500);
  expect(arrivals.request).toBeUndefined();
  takeRead(arrivals, read + 40 + 700);
  expect(arrivals.unfinishedBytes).toBe(700);
});

test('so do trailers; a body with a length has none, though nobody was told of its bytes', () => {
  for (const [headers, unfinished] of [
    [{ 'transfer-encoding': 'chunked' }, 3_000],
    [{ 'content-length': '100000' }, 0],
  ] as [Record<string, string>, number][]) {
    const arrivals = noArrivals();
    addHead(arrivals, headed(headers));
    takeRead(arrivals, headText.length);
    takeRead(arrivals, headText.length + 1_000);
    takeRead(arrivals, headText.length + 3_000);
    expect(arrivals.unfinishedBytes).toBe(unfinished);
  }
});
