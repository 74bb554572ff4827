import { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createStrangerSlots } from '../../src/http/stranger-slots.ts';

/* Which connections without a known key are read. */

const limits = {
  strangersReadMax: 4,
  strangerLookMs: 20,
  strangerRoundMs: 60_000,
  strangerSilentLooksMax: 2,
  strangerNewMs: 1_000,
  strangerLivelyMs: 60_000,
  strangerHasteMax: 8,
};

// Turns of the event loop stay real.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

function open(count: number, given: Partial<typeof limits> = {}, isCutShort?: () => boolean) {
  let time = 0;
  const looks = new Map<Socket, number>();
  const slots = createStrangerSlots({
    limits: { ...limits, ...given },
    now: () => time,
    ...(isCutShort !== undefined && { isCutShort }),
    onChange: (socket) => void (slots.isRead(socket) && looks.set(socket, looksAt(socket) + 1)),
  });
  const looksAt = (socket: Socket) => looks.get(socket) ?? 0;
  const add = (more: number) =>
    Array.from({ length: more }, () => {
      const socket = new Socket();
      slots.add(socket);
      return socket;
    });
  return {
    ...{ slots, add, looksAt, sockets: add(count) },
    readCount: () => [...slots.read()].length,
    async turns(turns: number) {
      for (let i = 0; i < turns; i++) await nextTurn();
    },
    async looksPass(times: number) {
      for (let i = 0; i < times; i++) {
        time += limits.strangerLookMs;
        vi.advanceTimersByTime(limits.strangerLookMs);
        await nextTurn();
      }
    },
    pass: (ms: number) => {
      time += ms;
    },
  };
}

test('up to strangersReadMax are read all the time, and nothing is done for them', async () => {
  const { slots, sockets, looksAt, turns, looksPass } = open(4);
  await turns(10);
  await looksPass(10);
  expect(sockets.map(slots.isRead)).toEqual([true, true, true, true]);
  expect(sockets.map(looksAt)).toEqual([1, 1, 1, 1]);
});

test('of more, never more than strangersReadMax are read; each new one is within a few turns, and stays two', async () => {
  const { slots, sockets, looksAt, readCount, turns } = open(40);
  const turnsRead = new Map<Socket, number>();
  for (let i = 0; i < 100; i++) {
    await turns(1);
    expect(readCount()).toBe(4);
    for (const socket of slots.read()) turnsRead.set(socket, (turnsRead.get(socket) ?? 0) + 1);
  }
  expect(sockets.every((socket) => looksAt(socket) > 0)).toBe(true);
  expect(Math.min(...sockets.map((socket) => turnsRead.get(socket) as number))).toBeGreaterThanOrEqual(2);
});

test('a new one is read at once, in the place of one that has been looked at, else of the oldest, which comes back soon', async () => {
  const { slots, sockets, add, turns } = open(4, {}, () => true);
  Object.defineProperty(sockets[2], 'bytesRead', { value: 1 });
  const [first] = add(1) as [Socket];
  expect([...sockets, first].map(slots.isRead)).toEqual([true, true, false, true, true]);
  const [second] = add(1) as [Socket];
  expect([...sockets, first, second].map(slots.isRead)).toEqual([true, true, false, false, true, true]);
  for (const socket of [first, second]) slots.delete(socket);
  await turns(1);
  expect(sockets.every(slots.isRead)).toBe(true);
});

test('when all have been looked at, one step is taken every strangerLookMs, and each comes again', async () => {
  const { sockets, looksAt, turns, looksPass, pass } = open(40);
  await turns(100);
  pass(limits.strangerNewMs);
  await looksPass(200);
  const sum = () => sockets.reduce((all, socket) => all + looksAt(socket), 0);
  const before = sum();
  await turns(50);
  // No step in each turn: at most one that was still due, of two places.
  expect(sum() - before).toBeLessThanOrEqual(2);
  await looksPass(80);
  // Two places go round, and the two newest keep theirs.
  expect(sum() - before).toBeLessThanOrEqual(2 * 81);
  expect(Math.min(...sockets.slice(0, -2).map(looksAt))).toBeGreaterThanOrEqual(2);
});

test('without haste strangerSilentLooksMax of the silent ones are looked at each time', async () => {
  const { sockets, looksAt, turns, looksPass, pass } = open(40, { strangerSilentLooksMax: 1 });
  await turns(100);
  pass(limits.strangerNewMs);
  await looksPass(200);
  const sum = () => sockets.reduce((all, socket) => all + looksAt(socket), 0);
  const before = sum();
  await looksPass(40);
  // And at most one that was still due.
  expect([40, 41]).toContain(sum() - before);
});

test('when they are many the looks come faster, so that all have been looked at within strangerRoundMs', async () => {
  const { sockets, looksAt, turns, looksPass, pass } = open(40, { strangerSilentLooksMax: 1, strangerRoundMs: 200 });
  await turns(100);
  pass(limits.strangerNewMs);
  await looksPass(200);
  const before = sockets.map(looksAt);
  // 200 ms, and one look more.
  await looksPass(11);
  // The two newest are read all the time.
  expect(sockets.slice(0, -2).every((socket, i) => looksAt(socket) > (before[i] as number))).toBe(true);
});

test('when one has asked for something, strangerHasteMax are looked at without a pause', async () => {
  const { slots, sockets, looksAt, turns } = open(40);
  await turns(100);
  const sum = () => sockets.reduce((all, socket) => all + looksAt(socket), 0);
  const before = sum();
  slots.hasAsked(sockets[0] as Socket);
  await turns(30);
  expect(sum() - before).toBe(8);
});

test.each([
  ['is new', 0, false],
  ['has asked for something within strangerLivelyMs', 30_000, true],
])('one that %s is looked at much more often than others that say nothing', async (_what, ms, asks) => {
  const { slots, add, looksAt, turns, looksPass, pass } = open(400);
  await turns(900);
  // They have been silent for long.
  pass(limits.strangerNewMs);
  await looksPass(500);
  const [one] = add(1) as [Socket];
  add(2);
  if (asks) slots.hasAsked(one);
  await turns(5);
  pass(ms);
  const before = looksAt(one);
  await looksPass(40);
  // 80 are looked at.
  expect(looksAt(one) - before).toBeGreaterThanOrEqual(8);
});

test('new ones that never end keep nobody else from being looked at', async () => {
  const { sockets, add, looksAt, turns } = open(40);
  await turns(100);
  const before = sockets.map(looksAt);
  for (let i = 0; i < 300; i++) {
    // As many as half of the slots; the door accepts no more in a turn.
    add(2);
    await turns(1);
  }
  expect(sockets.every((socket, i) => looksAt(socket) > (before[i] as number))).toBe(true);
});

test('one that has gone, or has a key, makes room at once, and when there is room for all nothing goes on', async () => {
  const { slots, sockets, turns, looksAt, looksPass } = open(6);
  expect(sockets.map(slots.isRead)).toEqual([true, true, false, false, true, true]);
  for (const socket of sockets.slice(0, 2)) expect(slots.delete(socket)).toBe(true);
  expect(slots.delete(sockets[0] as Socket)).toBe(false);
  expect(sockets.slice(2).map(slots.isRead)).toEqual([true, true, true, true]);
  expect(slots.oldest()).toBe(sockets[2]);
  await turns(3);
  const looks = sockets.map(looksAt);
  await looksPass(10);
  expect(sockets.map(looksAt)).toEqual(looks);
});

describe('turns that have ended early, so that some were not looked at', () => {
  test('those make room that have brought something, and no others', async () => {
    const { slots, sockets, looksAt, turns } = open(40, {}, () => true);
    const [busy, ...silent] = [...slots.read()] as [Socket, Socket, Socket, Socket];
    let bytes = 0;
    Object.defineProperty(busy, 'bytesRead', { get: () => ++bytes });
    await turns(3);
    expect(looksAt(sockets[2] as Socket)).toBe(2);
    expect(silent.every(slots.isRead)).toBe(true);
  });

  test('when none ends as it should, each new one is read all the same', async () => {
    const { sockets, looksAt, turns } = open(40, {}, () => true);
    await turns(8 * 20);
    expect(sockets.every((socket) => looksAt(socket) > 0)).toBe(true);
  });

  test('when none but a few do, it is as if there were only those', async () => {
    let turn = 0;
    const { sockets, looksAt, turns } = open(40, {}, () => ++turn % 2 === 0);
    await turns(2 * 20);
    expect(sockets.every((socket) => looksAt(socket) > 0)).toBe(true);
  });
});

test('the one to close is the oldest that has been read: what others have asked for may not have come yet', () => {
  const { slots, sockets, add } = open(4);
  expect(slots.toClose()).toBe(sockets[0]);
  const [next] = add(1) as [Socket];
  const [unread] = sockets.filter((socket) => !slots.isRead(socket)) as [Socket];
  expect(slots.toClose()).toBeUndefined();
  const [read] = slots.read().filter((socket) => socket !== next) as [Socket];
  for (const socket of slots.read()) Object.defineProperty(socket, 'bytesRead', { value: 1 });
  add(1);
  const gone = slots.toClose() as Socket;
  expect(gone).not.toBe(unread);
  expect(slots.isRead(gone)).toBe(false);
  slots.delete(gone);
  expect(slots.toClose()).not.toBe(gone);
  expect(slots.isRead(read) || read === gone).toBe(true);
});

test('where all turns end early, nobody passes for looked at until it must have been its turn', async () => {
  const { slots, sockets, looksAt, turns } = open(5, {}, () => true);
  const [displaced] = sockets.filter((socket) => !slots.isRead(socket)) as [Socket];
  await turns(20);
  expect(looksAt(displaced)).toBe(1);
  await turns(20);
  expect(looksAt(displaced)).toBe(2);
});
