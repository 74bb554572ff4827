import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createTurns } from '../../src/lib/turns.ts';

/** Turns by a clock that goes on only when somebody works. */
function turnsOf(turnMs: number) {
  const clock = { ms: 0 };
  return { clock, turns: createTurns({ turnMs, now: () => clock.ms }) };
}

test('a turn of the event loop is that of one work, for turnMs, and every one goes on in the end', async () => {
  const { clock, turns } = turnsOf(10);
  const stepMs = 4;
  let isOver = false;
  const work = async () => {
    const me = {};
    for (let step = 0; step < 6; step++) {
      await turns.rest('lab', me);
      clock.ms += stepMs;
    }
  };
  const works = Promise.all(Array.from({ length: 12 }, work)).then(() => {
    isOver = true;
  });
  const workedMs: number[] = [];
  while (!isOver) {
    const before = clock.ms;
    await nextTurn();
    workedMs.push(clock.ms - before);
  }
  await works;
  expect(clock.ms).toBe(12 * 6 * stepMs);
  // The step that begins just before the end of the time goes on beyond it; and this test counts between two turns.
  expect(Math.max(...workedMs)).toBeLessThanOrEqual(2 * (10 + stepMs));
  expect(workedMs.length).toBeGreaterThan(10);
});

test('who is alone and short does not wait', async () => {
  const { turns } = turnsOf(10);
  let steps = 0;
  const work = async () => {
    const me = {};
    for (; steps < 100; steps++) await turns.rest('lab', me);
  };
  void work();
  // No turn of the event loop passes here.
  for (let i = 0; i < 300; i++) await Promise.resolve();
  expect(steps).toBe(100);
});

test('those that wait go on in the order in which they came', async () => {
  const { clock, turns } = turnsOf(1);
  await turns.rest('lab', {});
  clock.ms += 5;
  const order: number[] = [];
  const one = async (name: number) => {
    await turns.rest('lab', {});
    order.push(name);
    clock.ms += 5;
  };
  await Promise.all([1, 2, 3, 4].map(one));
  expect(order).toEqual([1, 2, 3, 4]);
});

test('owners go on in turn, however many works one of them has', async () => {
  const { clock, turns } = turnsOf(1);
  await turns.rest('lab', {});
  clock.ms += 5;
  const order: string[] = [];
  const one = async (name: string) => {
    await turns.rest(name.slice(0, -2), {});
    order.push(name);
    clock.ms += 5;
  };
  await Promise.all(['lab 1', 'lab 2', 'lab 3', 'rival 1'].map(one));
  expect(order).toEqual(['lab 1', 'rival 1', 'lab 2', 'lab 3']);
});
