import { expect, test } from 'vitest';
import { createBodyRoom } from '../../src/http/body-room.ts';

const roomOf = (bytesMax: number, passesMax = 1) =>
  createBodyRoom({ bytesMax, smallMax: 10, stepBytes: 10, passesMax });

/** A body that notes when it may go on. */
function enter(room: ReturnType<typeof createBodyRoom>, organization: string, sizeMax?: number) {
  const place = room.enter(organization, sizeMax);
  const body = {
    woken: 0,
    take: (bytes: number) =>
      place.take(bytes, () => {
        body.woken++;
      }),
    takeWhole: place.takeWhole,
    leave: place.leave,
  };
  return body;
}

test('counts what has arrived, not what is announced, and forgets it when it leaves', () => {
  const room = roomOf(1_000);
  const large = enter(room, 'a', 900);
  const small = enter(room, 'a', 5);
  expect(room.state()).toEqual({ bytes: 0, waiting: 0 });
  expect(large.take(100)).toBe(true);
  expect(small.take(5)).toBe(true);
  expect(room.state()).toEqual({ bytes: 105, waiting: 0 });
  large.leave();
  large.leave();
  expect(room.state()).toEqual({ bytes: 5, waiting: 0 });
  expect(large.take(7)).toBe(true);
  small.leave();
  expect(room.state()).toEqual({ bytes: 0, waiting: 0 });
});

test('a whole body is counted where there is room for all of it, and not at all where there is not', () => {
  const room = roomOf(20);
  const first = enter(room, 'a', 8);
  expect(first.takeWhole(8)).toBe(true);
  // It would have more than it leaves free.
  expect(enter(room, 'a', 8).takeWhole(8)).toBe(false);
  expect(room.state()).toEqual({ bytes: 8, waiting: 0 });
  expect(enter(room, 'b', 5).takeWhole(5)).toBe(true);
  expect(enter(room, 'c', 8).takeWhole(8)).toBe(false);
  first.leave();
  expect(room.state()).toEqual({ bytes: 5, waiting: 0 });
  expect(enter(room, 'c', 7).takeWhole(7)).toBe(true);
});

test('an organization takes no more than it leaves free, and one body beyond: another one has room at once', () => {
  const room = roomOf(100);
  enter(room, 'a', 50).take(40);
  expect(enter(room, 'a', 50).take(20)).toBe(true);
  expect(enter(room, 'a', 50).take(0)).toBe(false);
  const other = enter(room, 'b', 50);
  expect(other.take(20)).toBe(true);
  expect(other.take(1)).toBe(false);
  expect(room.state().waiting).toBe(2);
});

test('bodies of one organization never all wait for each other, nor for one that drips', () => {
  const room = roomOf(100);
  enter(room, 'a', 1_000).take(1);
  const bodies = Array.from({ length: 20 }, () => enter(room, 'a', 1_000));
  const isReading = new Map(bodies.map((body) => [body, body.take(20)]));
  for (let left = bodies.length; left > 0; left--) {
    const next = bodies.find((body) => isReading.has(body) && (isReading.get(body) || body.woken > 0));
    expect(next).toBeDefined();
    next?.leave();
    isReading.delete(next as (typeof bodies)[number]);
  }
  expect(room.state()).toEqual({ bytes: 1, waiting: 0 });
});

test('passesMax bounds what goes on beyond the room', () => {
  const room = roomOf(100, 2);
  const first = enter(room, 'a', 1_000);
  expect(first.take(500)).toBe(true);
  expect(enter(room, 'b', 1_000).take(500)).toBe(true);
  const third = enter(room, 'c', 1_000);
  expect(third.take(0)).toBe(false);
  first.leave();
  expect(third.woken).toBe(1);
});

test('a small body never waits for large ones, and one that grows waits for room among them', () => {
  const room = roomOf(100);
  const large = enter(room, 'a', 1_000);
  large.take(500);
  const waiting = enter(room, 'a', 1_000);
  expect(waiting.take(0)).toBe(false);
  const small = enter(room, 'a', 10);
  expect(small.take(10)).toBe(true);
  const growing = enter(room, 'a');
  expect(growing.take(8)).toBe(true);
  expect(growing.take(8)).toBe(false);
  small.leave();
  expect(growing.woken).toBe(0);
  large.leave();
  expect(growing.woken).toBe(1);
  waiting.leave();
  growing.leave();
  expect(room.state()).toEqual({ bytes: 0, waiting: 0 });
});

test('room that comes free wakes as many as it is enough for', () => {
  const room = roomOf(100);
  const first = enter(room, 'a', 1_000);
  first.take(200);
  const others = Array.from({ length: 50 }, (_, i) => enter(room, `o${i}`, 1_000));
  for (const other of others) expect(other.take(0)).toBe(false);
  first.leave();
  const woken = others.filter((one) => one.woken > 0).length;
  expect(woken).toBeGreaterThan(4);
  expect(woken).toBeLessThan(12);
  expect(room.state().bytes).toBeLessThanOrEqual(110);
});

test('a body that leaves while it waits is not woken', () => {
  const room = roomOf(100);
  const first = enter(room, 'a', 1_000);
  first.take(200);
  const gone = enter(room, 'b', 1_000);
  gone.take(0);
  gone.leave();
  first.leave();
  expect(gone.woken).toBe(0);
  expect(room.state()).toEqual({ bytes: 0, waiting: 0 });
});
