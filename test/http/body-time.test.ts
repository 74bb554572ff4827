import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { createBodyRoom } from '../../src/http/body-room.ts';
import { httpLimits } from '../../src/http/limits.ts';
import { readBody } from '../../src/http/read-body.ts';
import { createReadingPace } from '../../src/http/reading-pace.ts';

/* A body must go on arriving, not drip, not take for ever, and not wait too long for room; each bound is in its answer. */

function begin(given: Partial<typeof httpLimits>, room = createBodyRoom({ ...sizes })) {
  const payload = Object.assign(new PassThrough(), { headers: {} });
  onTestFinished(() => void payload.destroy());
  const limits = { ...httpLimits, ...given };
  const bounds = { ...usual, roomBytesMax: sizes.bytesMax, limits };
  const place = room.enter('lab', 1e6);
  const read = readBody(payload as never, bounds, place);
  const answer = read.then(
    (body) => ({ status: 200, message: String(body.length) }),
    ({ status, message }) => ({ status, message }),
  );
  return { payload, answer, place };
}
const usual = { bytesMax: 1e6, named: 'none', pace: createReadingPace(1e6), now: () => performance.now() };
const sizes = { bytesMax: 1_000, smallMax: 10, stepBytes: 10, passesMax: 1, turnMs: 100, lapsedBytesMax: 0 };

test('one of which nothing arrives any more: 408', async () => {
  const { payload, answer } = begin({ bodyStallMsMax: 150 });
  payload.write('x'.repeat(100));
  expect(await answer).toEqual({ status: 408, message: expect.stringContaining('150 ms') });
});

test('one that drips: 408, while one that is slow but fast enough is read', async () => {
  const bounds = { bodyStallMsMax: 400, bodyBytesPerSecondMin: 1_000 };
  const drip = begin(bounds);
  let isOver = false;
  void drip.answer.then(() => {
    isOver = true;
  });
  while (!isOver) {
    drip.payload.write('x');
    await sleep(20);
  }
  expect(await drip.answer).toEqual({ status: 408, message: expect.stringContaining('1000 bytes a second') });

  const slow = begin(bounds);
  for (let i = 0; i < 20; i++) {
    slow.payload.write('x'.repeat(1_000));
    await sleep(30);
  }
  slow.payload.end();
  expect(await slow.answer).toEqual({ status: 200, message: '20000' });
});

test('one that takes for ever, however fast: 408', async () => {
  const { payload, answer } = begin({ bodyMsMax: 300 });
  let isOver = false;
  void answer.then(() => {
    isOver = true;
  });
  while (!isOver) {
    payload.write('x'.repeat(10));
    await sleep(10);
  }
  expect(await answer).toEqual({ status: 408, message: expect.stringContaining('300 ms') });
});

test('one that waits for room: its time does not count as its sender’s, and after roomWaitMsMax it is 503', async () => {
  const room = createBodyRoom(sizes);
  const full = room.enter('lab', 1e6);
  full.take(2_000, () => {});
  const served = begin({ bodyStallMsMax: 100 }, room);
  served.payload.end('x'.repeat(300));
  await sleep(400);
  full.leave();
  expect(await served.answer).toEqual({ status: 200, message: '300' });
  served.place.leave();

  room.enter('lab', 1e6).take(2_000, () => {});
  const late = begin({ roomWaitMsMax: 200 }, room);
  late.payload.end('x'.repeat(300));
  expect(await late.answer).toEqual({ status: 503, message: expect.stringContaining('BODIES_LIMIT_BYTES') });
});

test('a body that announces more than its limit is refused before anything of it is kept', async () => {
  const payload = Object.assign(new PassThrough(), { headers: { 'content-length': '2000000' } });
  const room = createBodyRoom(sizes);
  const bounds = { ...usual, roomBytesMax: 0, limits: httpLimits };
  const refused = readBody(payload as never, bounds, room.enter('lab', 2e6)).catch(({ status }) => status);
  payload.write(Buffer.alloc(500_000));
  await sleep(20);
  expect(room.state().bytes).toBe(0);
  payload.end(Buffer.alloc(1_500_000));
  expect(await refused).toBe(413);
});
