import { describe, expect, test } from 'vitest';
import { ledgerLimits } from '../../src/ledger/limits.ts';
import { TimeJumps } from '../../src/ledger/time-jumps.ts';

const begin = 1_769_846_400;
const day = 86_400;

/** The positions of the chunks, given as their times, at which time jumps. */
function jumpsOf(chunks: number[][], limits = ledgerLimits): number[] {
  const jumps = new TimeJumps(limits);
  const timed = chunks.map((times) => ({
    pointCount: times.length,
    timeMin: times.length === 0 ? null : Math.min(...times),
    timeMax: times.length === 0 ? null : Math.max(...times),
  }));
  return timed.flatMap((chunk, i) => (jumps.isJump(chunk, timed[i + 1]) ? [i] : []));
}

/** Chunks of ten points, one a step. */
const regular = (count: number, step: number, from = begin) =>
  Array.from({ length: count }, (_, chunk) => Array.from({ length: 10 }, (_, i) => from + (chunk * 10 + i) * step));

/** The same with another time at one point. */
function with_(chunks: number[][], chunk: number, point: number, time: number): number[][] {
  return chunks.map((times, c) => (c === chunk ? times.with(point, time) : times));
}

describe('time jumps where', () => {
  test('the clock was not set yet at the first point', () => {
    expect(jumpsOf(with_(regular(20, 0.1), 0, 0, 0))).toEqual([0]);
    // Also of a channel of one chunk, and of one whose first chunk is that point alone.
    expect(jumpsOf(with_(regular(1, 0.1), 0, 0, 0))).toEqual([0]);
    expect(jumpsOf([[0], ...regular(3, 0.1)])).toEqual([1]);
  });

  test('one point is in the far future, wherever it is', () => {
    for (const chunk of [0, 7, 19])
      expect(jumpsOf(with_(regular(20, 1), chunk, 4, begin + 400 * day))).toEqual([chunk]);
  });

  test('there is a pause of days', () => {
    expect(jumpsOf([...regular(5, 0.1), ...regular(5, 0.1, begin + 2.5 * day)])).toEqual([5]);
    expect(jumpsOf([...regular(5, 0.1), [], ...regular(5, 0.1, begin + 2.5 * day)])).toEqual([6]);
  });
});

describe('time does not jump where', () => {
  test('points are as far from each other as they always are', () => {
    for (const step of [0.001, 1, 3_600, 7 * day]) expect(jumpsOf(regular(20, step))).toEqual([]);
  });

  test('a pause is short, or nothing has a time', () => {
    expect(jumpsOf([...regular(5, 0.1), ...regular(5, 0.1, begin + day / 2)])).toEqual([]);
    expect(jumpsOf([[], []])).toEqual([]);
  });
});

test('how far a jump is can be set', () => {
  const chunks = [...regular(5, 1), ...regular(5, 1, begin + 3_600)];
  expect(jumpsOf(chunks, { ...ledgerLimits, jumpSecondsMin: 60 })).toEqual([5]);
  expect(jumpsOf(chunks, { ...ledgerLimits, jumpSecondsMin: 60, jumpStepsMin: 5_000 })).toEqual([]);
});
