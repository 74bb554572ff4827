import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  noSeries,
  placeFrom,
  rangeToRead,
  readingNear,
  type Series,
  trimmedBefore,
  withRange,
} from '../../src/page/plot/series.ts';

const seriesOf = (times: number[], gaps: Series['gaps'] = []): Series => ({
  times,
  values: times.map((time) => time * 10),
  gaps,
  downSampled: false,
});
const gap = (fromChunk: number, endsMs: number | null, beginsMs: number | null) => ({
  fromChunk,
  toChunk: fromChunk,
  endsMs,
  beginsMs,
});

describe('a stretch that was read anew', () => {
  test('replaces what was there, at its ends too', () => {
    const old = seriesOf([1, 2, 3, 4, 5]);
    const merged = withRange(old, { fromMs: 2, toMs: 4 }, { ...noSeries, times: [2.5, 4], values: [7, null] });
    expect(merged.times).toEqual([1, 2.5, 4, 5]);
    expect(merged.values).toEqual([10, 7, null, 50]);
  });

  test('a gap that was filled is gone, one that is elsewhere stays', () => {
    const old = seriesOf([1, 5, 9, 20], [gap(1, 1, 5), gap(7, 9, 20)]);
    const merged = withRange(old, { fromMs: 1, toMs: 5 }, seriesOf([1, 3, 5]));
    expect(merged.gaps).toEqual([gap(7, 9, 20)]);
  });

  test('a gap that is told twice is there once', () => {
    const old = seriesOf([1, 5, 9], [gap(3, 5, 9)]);
    expect(withRange(old, { fromMs: 9, toMs: 12 }, seriesOf([9, 12], [gap(3, 5, 9)])).gaps).toHaveLength(1);
  });

  test('what was down-sampled stays so', () => {
    const old = { ...seriesOf([1]), downSampled: true };
    expect(withRange(old, { fromMs: 2, toMs: 3 }, seriesOf([2])).downSampled).toBe(true);
    expect(
      withRange(seriesOf([1]), { fromMs: 2, toMs: 3 }, { ...noSeries, downSampled: undefined }).downSampled,
    ).toBeUndefined();
  });

  test('any parts in any order give what is stored', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 0, max: 200 }), { maxLength: 60 }),
        fc.array(fc.integer({ min: -20, max: 220 }), { minLength: 2, maxLength: 8 }),
        fc.array(fc.nat(20), { maxLength: 8 }),
        (stored, cuts, order) => {
          const all = seriesOf([...stored].sort((a, b) => a - b));
          const borders = [-1, ...new Set(cuts), 201].sort((a, b) => a - b);
          const parts = borders.slice(1).map((toMs, i) => ({ fromMs: borders[i] as number, toMs }));
          let here: Series = noSeries;
          for (const part of [
            ...order.map((i) => parts[i % parts.length] as { fromMs: number; toMs: number }),
            ...parts,
          ]) {
            const times = all.times.filter((time) => time >= part.fromMs && time <= part.toMs);
            here = withRange(here, part, seriesOf(times));
          }
          expect(here.times).toEqual(all.times);
          expect(here.values).toEqual(all.values);
        },
      ),
    );
  });
});

describe('what is to be read of a change', () => {
  const series = seriesOf([0, 10, 20, 30]);
  const within = { fromMs: 0, toMs: 100 };

  test('from the point before it to the point after it', () => {
    expect(rangeToRead(series, { fromMs: 12, toMs: 15 }, within)).toEqual({ fromMs: 10, toMs: 20 });
    expect(rangeToRead(series, { fromMs: 10, toMs: 20 }, within)).toEqual({ fromMs: 0, toMs: 30 });
  });

  test('to the end of the window where nothing comes after it', () => {
    expect(rangeToRead(series, { fromMs: 31, toMs: 40 }, within)).toEqual({ fromMs: 30, toMs: 100 });
    expect(rangeToRead(noSeries, { fromMs: 31, toMs: 40 }, within)).toEqual(within);
  });

  test('nothing of what is outside', () => {
    expect(rangeToRead(series, { fromMs: -9, toMs: -1 }, within)).toBeUndefined();
    expect(rangeToRead(series, { fromMs: 101, toMs: 102 }, within)).toBeUndefined();
  });
});

test('the point from which the line comes into the picture stays', () => {
  expect(trimmedBefore(seriesOf([1, 2, 3, 4]), 3).times).toEqual([2, 3, 4]);
  expect(trimmedBefore(seriesOf([1, 2]), 9).times).toEqual([2]);
  expect(trimmedBefore(seriesOf([5]), 1).times).toEqual([5]);
});

test('the reading at the cursor is the nearest one', () => {
  const series = seriesOf([10, 20]);
  expect(readingNear(series, 14)).toEqual({ ms: 10, value: 100 });
  expect(readingNear(series, 15)).toEqual({ ms: 20, value: 200 });
  expect(readingNear(series, 999)).toEqual({ ms: 20, value: 200 });
  expect(readingNear(noSeries, 1)).toBeUndefined();
  expect(placeFrom([1, 2, 2, 3], 2)).toBe(1);
});
