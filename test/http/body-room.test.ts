import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type BodyRoom, createBodyRoom } from '../../src/http/body-room.ts';

const roomOf = (bytesMax: number, passesMax = 1, lapsedBytesMax = 0) =>
  createBodyRoom({ bytesMax, smallMax: 10, stepBytes: 10, passesMax, turnMs: 100, lapsedBytesMax });

/** A body that notes when it may go on. */
function enter(room: BodyRoom, organization: string, sizeMax?: number, isWhole?: () => boolean) {
  const place = room.enter(organization, sizeMax, isWhole);
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
  // It would have more than it leaves free, which one body may.
  const beyond = enter(room, 'a', 8);
  expect(beyond.takeWhole(8)).toBe(true);
  expect(enter(room, 'a', 1).takeWhole(3)).toBe(false);
  expect(room.state()).toEqual({ bytes: 16, waiting: 0 });
  expect(enter(room, 'b', 2).takeWhole(2)).toBe(true);
  expect(enter(room, 'c', 8).takeWhole(8)).toBe(false);
  first.leave();
  beyond.leave();
  expect(room.state()).toEqual({ bytes: 2, waiting: 0 });
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

describe('what goes on beyond the room takes turns', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const turns = (count: number) => vi.advanceTimersByTime(count * 100);

  test('one that has stopped or drips gives way to the next, and waits for its turn when it brings more', () => {
    const room = roomOf(100, 1, 1_000);
    const stopped = enter(room, 'a', 1_000);
    expect(stopped.take(120)).toBe(true);
    const next = enter(room, 'a', 1_000);
    expect(next.take(0)).toBe(false);
    turns(2);
    expect(next.woken).toBe(1);
    expect(next.take(50)).toBe(true);
    expect(stopped.take(1)).toBe(false);
    turns(2);
    expect(stopped.woken).toBe(1);
    stopped.leave();
    next.leave();
    expect(room.state()).toEqual({ bytes: 0, waiting: 0 });
  });

  test('nobody loses a turn that nobody waits for', () => {
    const room = roomOf(100, 1, 1_000);
    const first = enter(room, 'a', 1_000);
    first.take(120);
    turns(100);
    expect(first.take(120)).toBe(true);
    expect(room.state()).toEqual({ bytes: 240, waiting: 0 });
  });

  test('lapsedBytesMax bounds what is held by those that have lost their turn', () => {
    const room = roomOf(100, 1, 200);
    const bodies = Array.from({ length: 10 }, () => enter(room, 'a', 1_000));
    for (const body of bodies) body.take(120);
    turns(100);
    // The first has lost its turn; the second would make it more than 200 bytes.
    expect(bodies.map((body) => body.woken)).toEqual([0, 1, ...new Array(8).fill(0)]);
    // What they brought before they were told to wait is what one read brings of each.
    expect(room.state().waiting).toBe(8);
    bodies[1]?.leave();
    expect(bodies[2]?.woken).toBe(1);
  });

  test('where passesMax organizations go on, the next one has a turn before any of them has another', () => {
    const room = roomOf(100, 2, 1_000);
    enter(room, 'a', 1_000).take(120);
    enter(room, 'b', 1_000).take(120);
    const theirs = ['a', 'a', 'b', 'b'].map((name) => enter(room, name, 1_000));
    for (const body of theirs) expect(body.take(0)).toBe(false);
    const third = enter(room, 'c', 1_000);
    expect(third.take(0)).toBe(false);
    turns(2);
    expect(third.woken).toBe(1);
    expect(theirs.map((body) => body.woken)).toEqual([1, 0, 0, 0]);
  });

  test('a small body that has arrived needs no turn: one of each organization at a time', () => {
    const room = roomOf(5);
    // Nothing may lapse here, so that a turn lasts as long as its body.
    expect(enter(room, 'a').take(8)).toBe(true);
    const first = enter(room, 'a', 0, () => true);
    expect(first.take(0)).toBe(true);
    expect(first.take(4)).toBe(true);
    const second = enter(room, 'a', 4);
    expect(second.takeWhole(4)).toBe(false);
    let hasArrived = false;
    const third = enter(room, 'a', 0, () => hasArrived);
    expect(third.take(0)).toBe(false);
    first.leave();
    expect(third.woken).toBe(0);
    expect(second.takeWhole(4)).toBe(true);
    second.leave();
    hasArrived = true;
    turns(1);
    expect(third.woken).toBe(1);
  });

  test('one that grows beyond a small body keeps nobody waiting among them', () => {
    const room = roomOf(100, 2);
    for (const name of ['a', 'c']) enter(room, name, 1_000).take(500);
    for (let i = 0; i < 20; i++) enter(room, 'a').take(10);
    const growing = enter(room, 'b');
    expect(growing.take(8)).toBe(true);
    const other = enter(room, 'b');
    expect(other.take(1)).toBe(false);
    expect(growing.take(200)).toBe(false);
    turns(1);
    expect([growing.woken, other.woken]).toEqual([0, 1]);
  });
});
