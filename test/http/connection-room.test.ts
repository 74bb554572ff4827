import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createConnectionRoom, type Exchange } from '../../src/http/connection-room.ts';
import { CountedRequest } from '../../src/http/counted-request.ts';

const limits = {
  connectionsMax: 0,
  connectionsUnreadOverMax: 128,
  requestsPerConnectionMax: 1,
  requestsAheadMax: 100,
  strangersAheadMax: 1_000,
  strangerAheadMin: 20,
  keyedAheadMax: 1_000,
  keyedOverMsMax: 10_000,
  readingMsPerTurn: 9,
  readingPaidBack: 0,
  headBytesFree: 100,
  strangerHeadsBytesMax: 1_000_000_000,
  keyedHeadsBytesMax: 1_000_000_000,
  strangersReadMax: 100,
  strangerLookMs: 20,
  strangerRoundMs: 60_000,
  strangerSilentLooksMax: 2,
  strangerNewMs: 1_000,
  strangerLivelyMs: 60_000,
  strangerHasteMax: 100,
};

const requestOn = (socket: Socket) => new CountedRequest(socket);
const exchangeOn = (socket: Socket): Exchange => [requestOn(socket), {} as ServerResponse];

function roomWith(count: number, given = {}) {
  let time = 0;
  const closed: Socket[] = [];
  const refuseHead = (socket: Socket) => void closed.push(socket);
  const room = createConnectionRoom({ limits: { ...limits, ...given }, now: () => time, refuseHead });
  const sockets = Array.from({ length: count }, () => new Socket());
  for (const socket of sockets) room.open(socket);
  /** The parser has gone through a read of so many bytes, in so many milliseconds. */
  const read = (socket: Socket, { ms = 0, bytes = 65_536, request, isServed }: Partial<Read> = {}) => {
    room.begin();
    if (request !== undefined) room.headHasCome(request);
    if (request !== undefined && isServed) room.enter([request, {} as ServerResponse]);
    time += ms;
    Object.defineProperty(socket, 'bytesRead', { value: socket.bytesRead + bytes, configurable: true });
    (socket as unknown as { _unrefTimer(): void })._unrefTimer();
  };
  return { room, sockets, closed, read };
}

interface Read {
  ms: number;
  bytes: number;
  request: CountedRequest;
  isServed: boolean;
}

test('when reading has taken readingMsPerTurn in a turn, no connection is read until the next one', async () => {
  const { room, sockets, read } = roomWith(4);
  const [long, quiet, waiting, known] = sockets as [Socket, Socket, Socket, Socket];
  room.keep(known, 'lab');
  // One that Node has stopped to read for another reason stays so.
  waiting.pause();
  for (let i = 0; i < 8; i++) read(long, { ms: 1 });
  expect(quiet.isPaused()).toBe(false);
  read(quiet, { ms: 1 });
  expect(sockets.map((socket) => socket.isPaused())).toEqual([true, true, true, true]);
  await nextTurn();
  expect(sockets.map((socket) => socket.isPaused())).toEqual([false, false, true, false]);
});

test('one that was told to go on just before it had to stop stays stopped', async () => {
  const { sockets, read } = roomWith(2);
  const [long, quiet] = sockets as [Socket, Socket];
  const told: string[] = [];
  quiet.on('pause', () => told.push('pause')).on('resume', () => told.push('resume'));
  quiet.pause();
  quiet.resume();
  read(long, { ms: 9 });
  await Promise.resolve();
  expect(told.at(-1)).toBe('pause');
  await nextTurn();
  await nextTurn();
  expect(told.at(-1)).toBe('resume');
});

/** @returns in which order they go on after a turn that ended early */
async function orderAfter(sockets: Socket[], end: () => void): Promise<number[]> {
  const order: Socket[] = [];
  for (const socket of sockets) socket.on('resume', () => order.push(socket));
  await nextTurn();
  await nextTurn();
  order.length = 0;
  end();
  await nextTurn();
  await nextTurn();
  return order.map((socket) => sockets.indexOf(socket));
}

test('those go on first that have sent nothing ahead and little that was no body', async () => {
  const { room, sockets, read } = roomWith(4);
  const [, , third, long] = sockets as [Socket, Socket, Socket, Socket];
  // The third was served what it had sent ahead.
  for (let i = 0; i < 2; i++) room.enter(exchangeOn(third));
  room.leave(requestOn(third));
  expect(await orderAfter(sockets, () => read(long, { ms: 9 }))).toEqual([1, 0, 3, 2]);
});

test('and before those without a key the ones that have one, the one last that ended the turn', async () => {
  const { room, sockets, read } = roomWith(4);
  const [known, , , other] = sockets as [Socket, Socket, Socket, Socket];
  room.keep(known, 'lab');
  room.keep(other, 'lab');
  expect(await orderAfter(sockets, () => read(known, { ms: 9, bytes: 100 }))).toEqual([3, 0, 2, 1]);
});

test('in every turn as much may come again', async () => {
  const { sockets, read } = roomWith(3);
  const [first, second, quiet] = sockets as [Socket, Socket, Socket];
  for (const socket of [first, second]) {
    read(socket, { ms: 8 });
    expect(quiet.isPaused()).toBe(false);
    await nextTurn();
  }
});

describe('reading is paid back', () => {
  /** Two of one laboratory, one of another, and one without a key; timers are the test's, turns are not. */
  function open(readingPaidBack: number) {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { room, sockets, read } = roomWith(4, { readingPaidBack });
    const [first, second, other] = sockets as [Socket, Socket, Socket];
    room.keep(first, 'lab');
    room.keep(second, 'lab');
    room.keep(other, 'other lab');
    for (const socket of sockets) read(socket, { bytes: 1 });
    const areRead = () => sockets.map((socket) => !socket.isPaused());
    return { read, sockets: sockets as [Socket, Socket, Socket, Socket], areRead };
  }

  test('by all connections of the organization that took most of the turn', async () => {
    const { read, sockets, areRead } = open(2);
    read(sockets[0], { ms: 30 });
    await nextTurn();
    expect(areRead()).toEqual([false, false, true, true]);
    vi.advanceTimersByTime(59);
    expect(areRead()).toEqual([false, false, true, true]);
    vi.advanceTimersByTime(1);
    expect(areRead()).toEqual([true, true, true, true]);
  });

  test('not by the one that was read last', async () => {
    const { read, sockets, areRead } = open(1);
    read(sockets[0], { ms: 8 });
    read(sockets[2], { ms: 2 });
    await nextTurn();
    expect(areRead()).toEqual([false, false, true, true]);
  });

  test('by those without a key together, also where its first key comes with such a read', async () => {
    const { read, sockets, areRead } = open(1);
    read(sockets[3], { ms: 30 });
    await nextTurn();
    expect(areRead()).toEqual([true, true, true, false]);
  });

  test('by several in time in which none of them is read', async () => {
    const { read, sockets, areRead } = open(1);
    read(sockets[0], { ms: 30 });
    await nextTurn();
    read(sockets[2], { ms: 30 });
    await nextTurn();
    expect(areRead()).toEqual([false, false, false, true]);
    vi.advanceTimersByTime(59);
    expect(areRead()).toEqual([false, false, false, true]);
    vi.advanceTimersByTime(1);
    expect(areRead()).toEqual([true, true, true, true]);
  });
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
  const given = { strangersAheadMax: 90 };
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
  const { room, sockets } = roomWith(50, { strangersAheadMax: 90 });
  const [known] = sockets as [Socket];
  room.keep(known, 'lab');
  for (let i = 0; i <= limits.requestsAheadMax; i++) room.enter(exchangeOn(known));
  expect(known.destroyed).toBe(false);
  room.enter(exchangeOn(known));
  expect(known.destroyed).toBe(true);
});

const shared = { keyedAheadMax: 80, requestsAheadMax: 1_000 };

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
  const small = { strangerHeadsBytesMax: 1_000, keyedHeadsBytesMax: 2_000 };
  const begun = { bytes: 400 };

  test('beyond strangerHeadsBytesMax the one without a key that holds most is closed, of those the first', () => {
    const { sockets, closed, read } = roomWith(4, small);
    for (const socket of sockets.slice(0, 2)) read(socket, begun);
    read(sockets[2] as Socket, { bytes: 100 });
    expect(closed).toEqual([]);
    read(sockets[3] as Socket, { bytes: 300 });
    expect(closed).toEqual([sockets[0]]);
  });

  test('one that holds no more than headBytesFree is not counted', () => {
    const { sockets, closed, read } = roomWith(50, small);
    for (const socket of sockets) read(socket, { bytes: limits.headBytesFree });
    expect(closed).toEqual([]);
  });

  test('an organization may hold as much as it leaves free, and strangers take nothing of it', () => {
    const { room, sockets, closed, read } = roomWith(6, small);
    const [first, second, third, other] = sockets as [Socket, Socket, Socket, Socket];
    for (const socket of [first, second, third]) room.keep(socket, 'lab');
    room.keep(other, 'other lab');
    for (const socket of sockets.slice(4)) read(socket, begun);
    read(first, { bytes: 500 });
    read(second, { bytes: 500 });
    read(other, { bytes: 400 });
    expect(closed).toEqual([]);
    read(third, { bytes: 200 });
    expect(closed).toEqual([first]);
  });

  test('what a connection holds is of its organization when its key is known', () => {
    const { room, sockets, closed, read } = roomWith(3, small);
    for (const socket of sockets) {
      read(socket, begun);
      room.keep(socket, 'lab');
    }
    expect(closed).toEqual([sockets[0]]);
  });

  test('a head that is complete is held while its request is served; one that is not, until it is or its connection closes', () => {
    const { sockets, closed, read } = roomWith(4, small);
    const [first, second, third, fourth] = sockets as [Socket, Socket, Socket, Socket];
    const request = requestOn(first);
    Object.assign(request, { method: 'GET', url: `/${'x'.repeat(800)}`, complete: true });
    read(first, { bytes: 300 });
    read(first, { bytes: 520, request, isServed: true });
    read(second, begun);
    // An answer has begun.
    expect(first.destroyed).toBe(true);
    expect(closed).toEqual([]);
    read(third, begun);
    second.emit('close');
    read(fourth, begun);
    expect(closed).toEqual([]);
    const whole = requestOn(third);
    Object.assign(whole, { method: 'GET', url: `/${'x'.repeat(800)}`, complete: true });
    read(third, { bytes: 420, request: whole });
    // It was answered at once.
    read(sockets[3] as Socket, begun);
    expect(closed).toEqual([]);
  });
});
