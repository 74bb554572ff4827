import { expect, test } from 'vitest';
import { createFairTurns } from '../../src/lib/fair-turns.ts';
import { nextTurn } from '../../src/lib/turns.ts';

/** Work that writes down what was done, by turn of the event loop. */
function harness(amountPerTurn: number) {
  const { run } = createFairTurns(amountPerTurn);
  let done: string[] = [];
  return {
    ask: (owner: string, ...names: string[]) => {
      for (const name of names) run(owner, 1, () => void done.push(`${owner}${name}`));
    },
    run,
    /** What has been done since this was asked last. */
    done: () => {
      const all = done.join(' ');
      done = [];
      return all;
    },
  };
}

test('work that fits into a turn is done at once', async () => {
  const { ask, done } = harness(2);
  ask('a', '1', '2');
  expect(done()).toBe('a1 a2');
  await nextTurn();
  ask('a', '3', '4');
  expect(done()).toBe('a3 a4');
});

test('the rest waits, so much of it for each turn, in order within an owner and of each owner in turn', async () => {
  const { ask, done } = harness(2);
  ask('a', '1', '2', '3', '4', '5', '6', '7');
  ask('b', '1', '2');
  ask('c', '1');
  expect(done()).toBe('a1 a2');
  const turns: string[] = [];
  for (let i = 0; i < 5; i++) {
    await nextTurn();
    turns.push(done());
  }
  expect(turns).toEqual(['a3 b1', 'c1 a4', 'b2 a5', 'a6 a7', '']);
});

test('what is asked for while others wait goes behind them', async () => {
  const { ask, done } = harness(1);
  ask('a', '1', '2');
  await nextTurn();
  expect(done()).toBe('a1 a2');
  ask('a', '3');
  ask('b', '1');
  expect(done()).toBe('');
  await nextTurn();
  await nextTurn();
  expect(done()).toBe('a3 b1');
});

test('a piece that is larger than a turn is done alone', async () => {
  const { run, ask, done } = harness(2);
  run('a', 100, () => ask('b', '1'));
  ask('a', '1');
  expect(done()).toBe('');
  await nextTurn();
  expect(done()).toBe('b1 a1');
});

test('10,000 pieces of one owner are no more work each than 10', async () => {
  const { ask, done } = harness(5_000);
  const names = Array.from({ length: 10_000 }, (_, i) => `${i}`);
  ask('a', ...names);
  await nextTurn();
  expect(done()).toBe(names.map((name) => `a${name}`).join(' '));
});
