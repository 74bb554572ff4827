import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createTotal,
  meanOf,
  noStatistics,
  type Statistics,
  statisticsInRange,
  together,
} from '../../src/points/range-statistics.ts';

/* Compared with whole numbers of any length: every float64 is one, in units of 2^-1074. */

/** A float64 in units of 2^-1074. */
function exact(number: number): bigint {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, number);
  const all = bits.getBigUint64(0);
  const exponent = (all >> 52n) & 0x7ffn;
  const fraction = all & 0xfffffffffffffn;
  const size = exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n);
  return number < 0 ? -size : size;
}

/** The float64 nearest to a fraction, but for the last bit. */
function quotient(numerator: bigint, denominator: bigint): number {
  if (numerator === 0n) return 0;
  const sign = numerator < 0n ? -1 : 1;
  const size = numerator < 0n ? -numerator : numerator;
  const shift = size.toString(2).length - denominator.toString(2).length - 64;
  const digits = shift > 0 ? size / (denominator << BigInt(shift)) : (size << BigInt(-shift)) / denominator;
  // In steps: 2^shift alone may be no float64.
  let result = Number(digits);
  for (let left = shift; left !== 0; ) {
    const step = Math.max(-900, Math.min(900, left));
    result *= 2 ** step;
    left -= step;
  }
  return sign * result;
}

const unit = 1n << 1074n;

function exactly(values: readonly number[]) {
  const numbers = values.map(exact);
  const count = BigInt(numbers.length);
  const sum = numbers.reduce((total, one) => total + one, 0n);
  const ofSquares = numbers.reduce((total, one) => total + one * one, 0n);
  return {
    mean: quotient(sum, count * unit),
    squares: quotient(ofSquares * count - sum * sum, count * unit * unit),
    size: quotient(
      numbers.reduce((total, one) => total + (one < 0n ? -one : one), 0n),
      count * unit,
    ),
  };
}

const whole = (values: readonly number[]) =>
  statisticsInRange(new Float64Array(values.length), Float64Array.from(values));

/** Lists of a list, cut at some places. */
function pieces<One>(list: readonly One[], cuts: readonly number[]): One[][] {
  const places = [0, ...cuts.map((cut) => cut % (list.length + 1)), list.length].sort((a, b) => a - b);
  return places.slice(1).map((to, i) => list.slice(places[i], to));
}

/** Takes neighbours together, two at random at a time. */
function inAnyOrder(all: readonly Statistics[], choices: readonly number[]): Statistics {
  const left = [...all];
  for (let i = 0; left.length > 1; i++) {
    const at = (choices[i % choices.length] as number) % (left.length - 1);
    left.splice(at, 2, together(left[at] as Statistics, left[at + 1] as Statistics));
  }
  return left[0] ?? noStatistics;
}

function expectClose(found: Statistics, values: readonly number[]) {
  const { mean, squares, size } = exactly(values);
  expect(found.valueCount).toBe(values.length);
  // Half a digit of the result, and of two that cancel half a digit of their square.
  expect(Math.abs(meanOf(found) - mean)).toBeLessThanOrEqual(4e-16 * Math.abs(mean) + 1e-29 * size + 5e-324);
  const lost = 1e-13 * squares + values.length * (1e-30 * size) ** 2 + values.length * 1e-323;
  expect(Math.abs(found.squares - squares), `${found.squares} ${squares}`).toBeLessThanOrEqual(lost);
  expect(found.squares).toBeGreaterThanOrEqual(0);
}

const noise = fc.double({ min: -1, max: 1, noNaN: true });
const lists = {
  'of any size whose squares are float64': fc.array(
    fc.oneof(fc.double({ min: -1e150, max: 1e150, noNaN: true }), fc.integer({ min: -9, max: 9 })),
    { minLength: 1, maxLength: 60 },
  ),
  'at an offset of 1e9, with noise of 1e-3': fc
    .array(noise, { minLength: 1, maxLength: 200 })
    .map((list) => list.map((one) => 1e9 + one * 1e-3)),
  'at a large offset, with a little noise': fc
    .tuple(
      fc.double({ min: 1, max: 1e15, noNaN: true }),
      fc.integer({ min: -15, max: 0 }),
      fc.array(noise, { minLength: 1, maxLength: 60 }),
    )
    .map(([offset, exponent, list]) => list.map((one) => offset * (1 + one * 10 ** exponent))),
  'that drift by little from list to list': fc
    .tuple(fc.double({ min: 1e6, max: 1e12, noNaN: true }), fc.array(noise, { minLength: 1, maxLength: 60 }))
    .map(([offset, list]) => list.map((one, i) => offset + i * 1e-4 + one * 1e-4)),
  'all equal': fc
    .tuple(fc.double({ min: -1e150, max: 1e150, noNaN: true }), fc.integer({ min: 1, max: 300 }))
    .map(([value, length]) => Array.from({ length }, () => value)),
  'that are denormal': fc.array(fc.double({ min: -1e-310, max: 1e-310, noNaN: true }), { minLength: 1, maxLength: 60 }),
  'whose sum is 0': fc
    .array(fc.double({ min: -1e100, max: 1e100, noNaN: true }), { minLength: 1, maxLength: 40 })
    .map((list) => [...list, ...list.map((one) => -one)]),
};

describe.each(Object.entries(lists))('the statistics of readings %s', (_, list) => {
  test('are exact, as one list and as any lists of it taken together in any order', () => {
    const cuts = fc.array(fc.nat(), { maxLength: 12 });
    const choices = fc.array(fc.nat(), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(list, cuts, choices, (values, cut, choice) => {
        expectClose(whole(values), values);
        const parts = pieces(values, cut).map(whole);
        expectClose(inAnyOrder(parts, choice), values);
        const total = createTotal();
        for (const part of parts) total.add(part);
        expectClose(total.sum(), values);
      }),
      { numRuns: 300 },
    );
  });
});

describe('statistics', () => {
  test('of many equal distances lose nothing to rounding', () => {
    const values = Array.from({ length: 60_000 }, (_, i) => (i % 2 === 0 ? 0.1 : -0.1));
    // The square of 0.1 as a float64, sixty thousand times.
    expectClose(whole(values), values);
    const total = createTotal();
    for (let i = 0; i < values.length; i += 2) total.add(whole(values.slice(i, i + 2)));
    expectClose(total.sum(), values);
  });

  test.each([
    ['the largest number', [Number.MAX_VALUE], Number.MAX_VALUE, 0],
    ['whose squares are too large', [1e300, -1e300], 0, Number.NaN],
    ['that are large and equal', [1e300, 1e300, 1e300], 1e300, 0],
    ['whose sum is too large', [1.7e308, 1.7e308], Number.NaN, Number.NaN],
    ['whose sum is too large on the way', [1.7e308, 1.7e308, -1.7e308, 1], Number.NaN, Number.NaN],
  ])('of readings beyond float64: %s', (_, values, mean, squares) => {
    // Nobody is told a number that is none: infinite and NaN are shown as null.
    const finite = (number: number) => (Number.isFinite(number) ? number : Number.NaN);
    for (const found of [whole(values), values.map((one) => whole([one])).reduce(together, noStatistics)]) {
      expect([finite(meanOf(found)), finite(found.squares)]).toEqual([mean, squares]);
    }
  });

  test('count what is absent, leave out what has no possible time, and take both ends of a range', () => {
    const times = Float64Array.of(1, 1.0004, 1.0005, 2, 2.0004, 2.0005, Number.NaN, 8.64e12, 8.7e12);
    const values = Float64Array.of(1, 10, Number.NaN, 100, 1_000, 10_000, 1e5, 1e6, 1e7);
    const of = (range?: { fromMs: number; toMs: number }) => {
      const { valueCount, absentCount, sum } = statisticsInRange(times, values, range);
      return [valueCount, absentCount, sum];
    };
    expect(of({ fromMs: 1_000, toMs: 2_000 })).toEqual([4, 1, 1_111]);
    expect(of({ fromMs: 1_001, toMs: 2_001 })).toEqual([3, 1, 11_100]);
    expect(of({ fromMs: 1_002, toMs: 1_999 })).toEqual([0, 0, 0]);
    expect(of()).toEqual([6, 1, 1_011_111]);
  });

  test('of nothing, and taken together with nothing', () => {
    expect(createTotal().sum()).toEqual(noStatistics);
    expect(whole([])).toEqual(noStatistics);
    const one = whole([1, 2]);
    const absent = { ...noStatistics, absentCount: 3 };
    expect(together(one, absent)).toEqual({ ...one, absentCount: 3 });
    expect(together(absent, one)).toEqual({ ...one, absentCount: 3 });
  });
});
