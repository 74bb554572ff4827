import { expect, test } from 'vitest';
import { createByteGate } from '../../src/lib/byte-gate.ts';

const gateOf = (bytesMax: number, waitMsMax = 10_000) =>
  createByteGate({ bytesMax, waitMsMax, late: () => new Error('too late') });

/** Lets everything that can go on now go on. */
const turn = () => new Promise(setImmediate);

test('lets in what fits, holds the rest in order, and lets it in as others leave', async () => {
  const gate = gateOf(10);
  const entered: string[] = [];
  const enter = (name: string, bytes: number) =>
    gate.enter(bytes).then((leave) => {
      entered.push(name);
      return leave;
    });
  const a = await enter('a', 6);
  const b = await enter('b', 4);
  const c = enter('c', 8);
  const d = enter('d', 1);
  await turn();
  // d would fit after b has left, but c came first.
  b();
  b();
  await turn();
  expect(entered).toEqual(['a', 'b']);
  expect(gate.state()).toEqual({ bytes: 6, waiting: 2 });
  a();
  (await c)();
  (await d)();
  expect(entered).toEqual(['a', 'b', 'c', 'd']);
  expect(gate.state()).toEqual({ bytes: 0, waiting: 0 });
});

test('what is larger than the bound gets in alone', async () => {
  const gate = gateOf(10);
  const small = await gate.enter(1);
  const huge = gate.enter(50);
  await turn();
  expect(gate.state()).toEqual({ bytes: 1, waiting: 1 });
  small();
  const leave = await huge;
  expect(gate.state()).toEqual({ bytes: 50, waiting: 0 });
  leave();
});

test('what waits too long is refused and no longer waits', async () => {
  const gate = gateOf(10, 20);
  const leave = await gate.enter(10);
  await expect(gate.enter(1)).rejects.toThrow('too late');
  expect(gate.state()).toEqual({ bytes: 10, waiting: 0 });
  leave();
  expect(gate.state().bytes).toBe(0);
});
