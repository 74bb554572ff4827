import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createConnectionRoom, type Exchange } from '../../src/http/connection-room.ts';

const limits = {
  connectionsMax: 0,
  requestsPerConnectionMax: 1,
  requestsAheadMax: 100,
  strangersAheadMax: 1_000,
  strangersAheadPerTurnMax: 10,
};

const exchangeOn = (socket: Socket): Exchange => [{ socket } as IncomingMessage, {} as ServerResponse];

function roomWith(count: number) {
  const room = createConnectionRoom(limits);
  const sockets = Array.from({ length: count }, () => new Socket());
  for (const socket of sockets) room.open(socket);
  return { room, sockets };
}

test('when strangersAheadPerTurnMax requests have come ahead, no other stranger is read until the next turn', async () => {
  const { room, sockets } = roomWith(4);
  const [greedy, quiet, waiting, known] = sockets as [Socket, Socket, Socket, Socket];
  room.keep(known);
  // One that Node has stopped to read for another reason stays so.
  waiting.pause();
  for (let i = 0; i < 10; i++) room.enter(exchangeOn(greedy));
  expect(quiet.isPaused()).toBe(false);
  room.enter(exchangeOn(greedy));
  expect(sockets.map((socket) => socket.isPaused())).toEqual([true, true, true, false]);
  await nextTurn();
  expect(sockets.map((socket) => socket.isPaused())).toEqual([true, false, true, false]);
});

test('requests ahead of a connection with a known key stop nobody', () => {
  const { room, sockets } = roomWith(2);
  const [known, quiet] = sockets as [Socket, Socket];
  room.keep(known);
  for (let i = 0; i < 50; i++) room.enter(exchangeOn(known));
  expect(quiet.isPaused()).toBe(false);
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
