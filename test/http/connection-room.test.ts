import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createConnectionRoom, type Exchange } from '../../src/http/connection-room.ts';

const limits = {
  connectionsMax: 0,
  connectionsUnreadOverMax: 128,
  requestsPerConnectionMax: 1,
  requestsAheadMax: 100,
  strangersAheadMax: 1_000,
  strangerAheadMin: 20,
  keyedAheadMax: 1_000,
  keyedOverMsMax: 10_000,
  headBytesFree: 100,
  strangerHeadsBytesMax: 100_000,
  keyedHeadsBytesMax: 100_000,
  aheadMsPerTurn: 9,
  strangersReadMax: 100,
  strangerLookMs: 20,
  strangerRoundMs: 60_000,
  strangerSilentLooksMax: 2,
  strangerNewMs: 1_000,
  strangerLivelyMs: 60_000,
  strangerHasteMax: 100,
};

const requestOn = (socket: Socket) =>
  ({ socket, url: '/', headers: {}, rawHeaders: [] as string[], rawTrailers: [] as string[] }) as IncomingMessage;
const exchangeOn = (socket: Socket): Exchange => [requestOn(socket), {} as ServerResponse];

/** Each request takes a millisecond. */
function roomWith(count: number, given = {}) {
  let time = 0;
  const room = createConnectionRoom({ limits: { ...limits, ...given }, now: () => time++ });
  const sockets = Array.from({ length: count }, () => new Socket());
  for (const socket of sockets) room.open(socket);
  return { room, sockets };
}

test('when requests ahead have come for aheadMsPerTurn, no connection is read until the next turn', async () => {
  const { room, sockets } = roomWith(4);
  const [greedy, quiet, waiting, known] = sockets as [Socket, Socket, Socket, Socket];
  room.keep(known, 'lab');
  // One that Node has stopped to read for another reason stays so.
  waiting.pause();
  for (let i = 0; i < 10; i++) room.enter(exchangeOn(greedy));
  expect(quiet.isPaused()).toBe(false);
  room.enter(exchangeOn(greedy));
  expect(sockets.map((socket) => socket.isPaused())).toEqual([true, true, true, true]);
  await nextTurn();
  expect(sockets.map((socket) => socket.isPaused())).toEqual([true, false, true, false]);
});

test('those go on first that have sent nothing ahead', async () => {
  const { room, sockets } = roomWith(4);
  const [first, second, third, greedy] = sockets as [Socket, Socket, Socket, Socket];
  const order: Socket[] = [];
  for (const socket of sockets) socket.on('resume', () => order.push(socket));
  // The third was served what it had sent ahead.
  for (let i = 0; i < 2; i++) room.enter(exchangeOn(third));
  room.leave(requestOn(third));
  await nextTurn();
  await nextTurn();
  order.length = 0;
  for (let i = 0; i < 11; i++) room.enter(exchangeOn(greedy));
  await nextTurn();
  await nextTurn();
  expect(order.map((socket) => sockets.indexOf(socket))).toEqual([second, first, third].map((s) => sockets.indexOf(s)));
});

test('whoever has brought much goes on one turn after the others, though that turn ends early too', async () => {
  const { room, sockets } = roomWith(3);
  const [light, other, greedy] = sockets as [Socket, Socket, Socket];
  const isPaused = () => [light, other, greedy].map((socket) => socket.isPaused());
  room.brings(greedy);
  expect(isPaused()).toEqual([true, true, true]);
  await nextTurn();
  expect(isPaused()).toEqual([false, false, true]);
  await nextTurn();
  expect(isPaused()).toEqual([false, false, false]);
  room.brings(greedy);
  await nextTurn();
  room.brings(other);
  expect(isPaused()).toEqual([true, true, true]);
  await nextTurn();
  expect(isPaused()).toEqual([false, false, false]);
});

test('and before those without a key the ones that have one', async () => {
  const { room, sockets } = roomWith(4);
  const [known, first, second, greedy] = sockets as [Socket, Socket, Socket, Socket];
  const order: Socket[] = [];
  room.keep(known, 'lab');
  for (const socket of sockets) socket.on('resume', () => order.push(socket));
  await nextTurn();
  await nextTurn();
  order.length = 0;
  for (let i = 0; i < 11; i++) room.enter(exchangeOn(greedy));
  await nextTurn();
  await nextTurn();
  expect(order.map((socket) => sockets.indexOf(socket))).toEqual([known, second, first].map((s) => sockets.indexOf(s)));
});

test('in every turn as many may come again', async () => {
  const { room, sockets } = roomWith(3);
  const [first, second, quiet] = sockets as [Socket, Socket, Socket];
  for (const socket of [first, second]) {
    for (let i = 0; i < 10; i++) room.enter(exchangeOn(socket));
    expect(quiet.isPaused()).toBe(false);
    await nextTurn();
  }
});

test('beyond connectionsMax, where all have known keys, the organization that has most loses one that is not served', () => {
  const { room, sockets } = roomWith(4, { connectionsMax: 4 });
  const owners = ['lab', 'flood', 'flood', 'flood'];
  for (const [i, socket] of sockets.entries()) room.keep(socket, owners[i] as string);
  room.enter(exchangeOn(sockets[1] as Socket));
  const next = new Socket();
  room.open(next);
  expect([...sockets, next].map((socket) => socket.destroyed)).toEqual([false, false, true, false, false]);
});

test('connections that come faster than they can be looked at stay until they are, up to connectionsUnreadOverMax', async () => {
  const given = { connectionsMax: 4, connectionsUnreadOverMax: 6, strangersReadMax: 2 };
  const { sockets } = roomWith(10, given);
  const open = () => sockets.filter((socket) => !socket.destroyed);
  expect(open()).toEqual(sockets);
  for (let turn = 0; turn < 20; turn++) await nextTurn();
  expect(open()).toHaveLength(4);

  const more = roomWith(13, given).sockets;
  expect(more.map((socket) => socket.destroyed)).toEqual(more.map((_, i) => i < 3));
});

test('connections without a known key share what they may send ahead; each may send strangerAheadMin', async () => {
  const given = { strangersAheadMax: 90, aheadMsPerTurn: 1_000 };
  const aheadOf = (count: number) => {
    const { room, sockets } = roomWith(count, given);
    const [first] = sockets as [Socket];
    let entered = 0;
    // One of them is served.
    for (; !first.destroyed; entered++) room.enter(exchangeOn(first));
    return entered - 2;
  };
  expect(aheadOf(1)).toBe(90);
  expect(aheadOf(3)).toBe(30);
  expect(aheadOf(50)).toBe(limits.strangerAheadMin);
});

test('one whose key is known may send requestsAheadMax, however many others there are', () => {
  const { room, sockets } = roomWith(50, { strangersAheadMax: 90, aheadMsPerTurn: 1_000 });
  const [known] = sockets as [Socket];
  room.keep(known, 'lab');
  for (let i = 0; i <= limits.requestsAheadMax; i++) room.enter(exchangeOn(known));
  expect(known.destroyed).toBe(false);
  room.enter(exchangeOn(known));
  expect(known.destroyed).toBe(true);
});

const shared = { keyedAheadMax: 80, aheadMsPerTurn: 1_000_000, requestsAheadMax: 1_000 };

function twoLabs(given = {}) {
  const { room, sockets } = roomWith(6, { ...shared, ...given });
  const [greedy, quiet, other, several, stranger] = sockets as [Socket, Socket, Socket, Socket, Socket];
  room.keep(greedy, 'lab');
  room.keep(quiet, 'lab');
  room.keep(other, 'other lab');
  room.keep(several, 'other lab');
  room.keep(several, 'lab');
  /** One more of them is served. */
  const send = (socket: Socket, count: number) => {
    for (let i = 0; i < count; i++) room.enter(exchangeOn(socket));
  };
  return { room, send, sockets: { greedy, quiet, other, several, stranger } };
}

test('beyond its share of keyedAheadMax no connection of an organization is read, and nothing is refused', () => {
  const { room, send, sockets } = twoLabs();
  send(sockets.greedy, 41);
  expect(sockets.quiet.isPaused()).toBe(false);
  send(sockets.greedy, 1);
  const isPaused = () => Object.values(sockets).map((socket) => socket.isPaused());
  expect(isPaused()).toEqual([true, true, false, false, false]);
  // What the same read has brought is kept.
  send(sockets.greedy, 20);
  expect(sockets.greedy.destroyed).toBe(false);
  // What is left to others is theirs: half of 19.
  send(sockets.other, 10);
  expect(isPaused()).toEqual([true, true, true, false, false]);
  send(sockets.other, 1);
  for (let i = 0; i < 40; i++) room.leave(requestOn(sockets.greedy));
  expect(isPaused()).toEqual([true, true, true, false, false]);
  for (let i = 0; i < 10; i++) room.leave(requestOn(sockets.greedy));
  expect(isPaused()).toEqual([true, false, true, false, false]);
});

test('an organization that has sent nothing ahead is read, however much others have', () => {
  const { send, sockets } = twoLabs();
  send(sockets.greedy, 500);
  expect(sockets.other.isPaused()).toBe(false);
  expect(sockets.several.isPaused()).toBe(false);
  send(sockets.other, 2);
  expect(sockets.other.isPaused()).toBe(true);
});

test('a connection that is closed, or of which a key becomes known, takes from the share of its organization', () => {
  const { room, send, sockets } = twoLabs();
  send(sockets.stranger, 60);
  expect(sockets.quiet.isPaused()).toBe(false);
  room.keep(sockets.stranger, 'lab');
  expect(sockets.quiet.isPaused()).toBe(true);
  sockets.stranger.emit('close');
  expect(sockets.quiet.isPaused()).toBe(false);
});

test('after keyedOverMsMax its connections are read again, and one that sends more than strangerAheadMin ahead is closed', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { room, send, sockets } = twoLabs();
  const { greedy, quiet } = sockets;
  send(greedy, 60);
  vi.advanceTimersByTime(9_000);
  expect(quiet.isPaused()).toBe(true);
  vi.advanceTimersByTime(2_000);
  expect([greedy, quiet].map((socket) => socket.isPaused())).toEqual([true, false]);
  send(quiet, limits.strangerAheadMin + 1);
  expect(quiet.destroyed).toBe(false);
  send(quiet, 1);
  expect(quiet.destroyed).toBe(true);
  // Nobody else is, and it is as before when its requests have been begun.
  expect(greedy.destroyed).toBe(false);
  for (let i = 0; i < 60; i++) room.leave(requestOn(greedy));
  send(greedy, 30);
  expect(greedy.destroyed).toBe(false);
});

test('such an organization has twice its share at most', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { send, sockets } = twoLabs();
  send(sockets.greedy, 81);
  vi.advanceTimersByTime(11_000);
  send(sockets.quiet, 1);
  expect(sockets.quiet.destroyed).toBe(false);
  send(sockets.quiet, 1);
  expect(sockets.quiet.destroyed).toBe(true);
});

test('a connection that comes while its organization is beyond its share may send strangerAheadMin ahead', () => {
  const { room, send, sockets } = twoLabs();
  send(sockets.greedy, 60);
  room.keep(sockets.stranger, 'lab');
  expect(sockets.stranger.isPaused()).toBe(true);
  // The read that has brought its key goes on.
  send(sockets.stranger, 17);
  expect(sockets.stranger.destroyed).toBe(false);
  send(sockets.stranger, 10);
  expect(sockets.stranger.destroyed).toBe(true);
});

describe('heads that connections hold', () => {
  const given = { strangerHeadsBytesMax: 1_000, keyedHeadsBytesMax: 2_000 };

  /** Sends so many bytes, as Node reads them: with the heads that they complete, and then what tells of a read. */
  function reads(
    room: ReturnType<typeof createConnectionRoom>,
    socket: Socket,
    bytes: number,
    heads: IncomingMessage[] = [],
  ) {
    Object.defineProperty(socket, 'bytesRead', { value: socket.bytesRead + bytes, configurable: true });
    for (const head of heads) {
      room.headHasCome(head);
      room.enter([head, {} as ServerResponse]);
    }
    (socket as Socket & { _unrefTimer(): void })._unrefTimer();
  }

  const longRequestOn = (socket: Socket, bytes: number) =>
    Object.assign(requestOn(socket), { method: 'GET', url: `/${'x'.repeat(bytes - 19)}` });
  const destroyed = (sockets: Socket[]) => sockets.map((socket) => socket.destroyed);

  test('beyond strangerHeadsBytesMax one is closed, in a turn of its own; headBytesFree of each are not counted', async () => {
    const { room, sockets } = roomWith(20, given);
    for (const socket of sockets.slice(3)) reads(room, socket, 100);
    for (const socket of sockets.slice(0, 3)) reads(room, socket, 400);
    expect(destroyed(sockets)).not.toContain(true);
    await nextTurn();
    expect(destroyed(sockets)).toEqual(sockets.map((_, i) => i === 0));
  });

  test('heads of requests count while these are served or wait', async () => {
    const { room, sockets } = roomWith(4, given);
    const [first, second, third, last] = sockets as [Socket, Socket, Socket, Socket];
    const requests = [longRequestOn(first, 300), longRequestOn(first, 300)];
    reads(room, first, 600, requests);
    room.leave(requests[0] as IncomingMessage);
    reads(room, second, 400, [longRequestOn(second, 400)]);
    reads(room, third, 300);
    await nextTurn();
    expect(destroyed(sockets)).toEqual([false, false, false, false]);
    room.leave(requests[1] as IncomingMessage);
    reads(room, last, 300);
    await nextTurn();
    expect(destroyed(sockets)).toEqual([false, false, false, false]);
    reads(room, last, 200);
    await nextTurn();
    expect(destroyed(sockets)).toEqual([false, true, false, false]);
  });

  test('beyond keyedHeadsBytesMax the organization that holds most makes room, with what it held without a key', async () => {
    const { room, sockets } = roomWith(7, given);
    for (const [i, socket] of sockets.entries()) {
      reads(room, socket, 380);
      room.keep(socket, i > 4 ? 'other lab' : 'lab');
    }
    await nextTurn();
    expect(destroyed(sockets)).toEqual([true, true, false, false, false, false, false]);
  });

  test('whoever comes to hold heads of many others in one turn makes room alone, a few connections in a turn', async () => {
    const { room, sockets } = roomWith(60, given);
    for (const socket of sockets.slice(0, 20)) {
      reads(room, socket, 190);
      room.keep(socket, socket === sockets[0] ? 'first lab' : 'lab');
    }
    for (const socket of sockets.slice(20)) {
      reads(room, socket, 190);
      room.keep(socket, 'third lab');
    }
    for (let turn = 0; turn < 12; turn++) {
      const before = destroyed(sockets).filter(Boolean).length;
      await nextTurn();
      expect(destroyed(sockets).filter(Boolean).length - before).toBeLessThanOrEqual(8);
    }
    expect(destroyed(sockets).filter((isClosed) => !isClosed).length).toBe(10);
    expect((sockets[0] as Socket).destroyed).toBe(false);
  });

  test('a connection is read on after an error without being counted', async () => {
    const { room, sockets } = roomWith(2, given);
    const [failed] = sockets as [Socket];
    room.fail(failed);
    reads(room, failed, 5_000);
    await nextTurn();
    expect(failed.destroyed).toBe(false);
  });

  test('a read that brings much of heads counts as work', async () => {
    const { room, sockets } = roomWith(3, { strangerHeadsBytesMax: 1_000_000, aheadMsPerTurn: 1 });
    const [greedy, other, quiet] = sockets as [Socket, Socket, Socket];
    reads(room, greedy, 4_000);
    reads(room, other, 5_000);
    expect(quiet.isPaused()).toBe(false);
    reads(room, other, 5_000);
    reads(room, greedy, 5_000);
    expect(quiet.isPaused()).toBe(true);
  });
});
