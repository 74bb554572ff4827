import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ascendingOrder } from '../../src/lib/ascending-order.ts';

const rest = async () => {};
const orderOf = (numbers: readonly number[]) =>
  ascendingOrder(numbers.length, (a, b) => (numbers[a] as number) > (numbers[b] as number), rest);

test('elements ascend, and of equal ones the earlier stays first', async () => {
  const runs = fc.array(fc.array(fc.nat(20), { maxLength: 12 }).map((run) => run.sort((a, b) => a - b)));
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.array(fc.nat(9)),
        runs.map((some) => some.flat()),
      ),
      async (numbers) => {
        const expected = numbers
          .map((_, i) => i)
          .sort((a, b) => (numbers[a] as number) - (numbers[b] as number) || a - b);
        expect([...(await orderOf(numbers))]).toEqual(expected);
      },
    ),
    { numRuns: 500 },
  );
});

test('a long sort lets others have their turn after each 50,000 elements', async () => {
  const numbers = Array.from({ length: 200_000 }, (_, i) => -i);
  let merged = 0;
  let rests = 0;
  const order = await ascendingOrder(
    numbers.length,
    (a, b) => (numbers[a] as number) > (numbers[b] as number),
    async () => {
      rests++;
    },
  );
  expect(order[0]).toBe(199_999);
  merged = 18 * numbers.length;
  expect(rests).toBeGreaterThanOrEqual(merged / 50_000 - 18);
});
