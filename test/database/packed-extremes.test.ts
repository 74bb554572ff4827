import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ascendsBy,
  extremesBetween,
  keepsApart,
  readingAt,
  type SeriesScan,
  scanOf,
} from '../../src/database/packed-extremes.ts';
import { msOf } from '../../src/points/time.ts';
import { asStored } from '../points/support/memory-source.ts';

type Series = (number | null)[];

const scanned = (series: Series) => scanOf(asStored(series, true)) as SeriesScan;
const isPacked = (series: Series) => asStored(series, true).array === undefined;

/** A series that does not fit one width: regular, with some readings beside the line, some absent. */
const anySeries = fc
  .record({
    length: fc.integer({ min: 1, max: 60 }),
    base: fc.oneof(fc.integer({ min: -300, max: 300 }), fc.constantFrom(1_700_000_000_000, -8e14)),
    step: fc.integer({ min: -3, max: 20 }),
    spread: fc.constantFrom(0, 1, 3, 200, 70_000, 5e9),
    divisor: fc.constantFrom(1, 8, 1_000, 2 ** 22),
    shares: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 7, maxLength: 13 }),
    absent: fc.array(fc.nat(59), { maxLength: 3 }),
  })
  .map(
    ({ length, base, step, spread, divisor, shares, absent }): Series =>
      Array.from({ length }, (_, i) => {
        const whole = base + step * i + Math.round(spread * (shares[i % shares.length] as number));
        return absent.includes(i) ? null : whole / divisor;
      }),
  )
  .filter(isPacked);

test('a packed series tells its readings and extremes as they are when they are decoded', () => {
  const widths = new Set<number>();
  fc.assert(
    fc.property(anySeries, fc.nat(59), fc.nat(60), (series, one, other) => {
      const scan = scanned(series);
      widths.add(scan.width);
      const [from, to] = [Math.min(one, other), Math.min(Math.max(one, other), series.length)];
      expect(series.map((_, i) => readingAt(scan, i))).toEqual(series.map((reading) => reading ?? Number.NaN));
      fc.pre(keepsApart(scan));
      const readings = series.map((reading, i) => ({ reading, i })).slice(from, to);
      const there = readings.filter((point): point is { reading: number; i: number } => point.reading !== null);
      const ascending = there.toSorted((a, b) => a.reading - b.reading);
      const least = ascending[0]?.i ?? -1;
      const greatest = ascending.at(-1)?.i ?? -1;
      expect(extremesBetween(scan, from, to)).toEqual({ least, greatest });
    }),
    { numRuns: 2_000 },
  );
  expect([...widths].sort()).toEqual(expect.arrayContaining([0, 1, 2, 3, 5]));
});

test('times that are said to be a ms apart have a ms each, in order', () => {
  const met = { spaced: 0, not: 0 };
  fc.assert(
    fc.property(anySeries, (times) => {
      const isSpaced = ascendsBy(scanned(times), 0.001);
      const ms = times.map((time) => (time === null ? Number.NaN : msOf(time)));
      const isAscending = ms.every((one, i) => (i === 0 ? !Number.isNaN(one) : one > (ms[i - 1] as number)));
      if (isSpaced) expect(isAscending).toBe(true);
      met[isSpaced ? 'spaced' : 'not']++;
    }),
    { numRuns: 2_000 },
  );
  expect(Math.min(met.spaced, met.not)).toBeGreaterThan(100);
});

test.each([
  ['a clock of 10 ms', [10, 10.01, 10.02], true],
  ['one that is two thirds of a ms off', [10, 10.0107, 10.0193, 10.03], true],
  ['less than a ms', [10, 10.0009, 10.0018], false],
  ['a ms twice', [10, 10.01, 10.01, 10.02], false],
  ['a step back', [10, 10.02, 10.01], false],
  ['an absent time', [10, 10.01, null, 10.03], false],
  ['an absent time at the end', [10, 10.01, null], false],
  ['an absent time at the beginning', [null, 10.01, 10.02], false],
  ['a single time', [10], true],
])('%s', (_, times, isSpaced) => {
  expect(ascendsBy(scanned(times), 0.001)).toBe(isSpaced);
});

test('whole numbers are compared only where none become the same reading', () => {
  expect(keepsApart(scanned([2 ** 50, 2 ** 50 + 3]))).toBe(true);
  expect(keepsApart(scanned([2 ** 52, 2 ** 52 + 3]))).toBe(false);
});

test('a series that stands as it was sent, or is damaged, is not scanned', () => {
  expect(scanOf(asStored([1, 2], false))).toBeUndefined();
  expect(scanOf({ ...asStored([1, 5, 2], true), residuals: Buffer.alloc(4), rest: undefined })).toBeUndefined();
  expect(scanOf({ ...asStored([1, 5, 2], true), residuals: Buffer.alloc(21), rest: undefined })).toBeUndefined();
});
