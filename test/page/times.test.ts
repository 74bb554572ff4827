import { describe, expect, test } from 'vitest';
import { formatAge, formatDuration, formatSince, formatTime } from '../../src/page/time/format.ts';
import { ticksOf } from '../../src/page/time/ticks.ts';

const at = Date.UTC(2026, 0, 31, 8, 0, 0);
const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000];

describe('times in words', () => {
  test.each([
    [at, '2026-01-31 08:00:00 UTC'],
    [at + 125, '2026-01-31 08:00:00.125 UTC'],
    [at + 0.25, '2026-01-31 08:00:00.000250 UTC'],
    [-1, '1969-12-31 23:59:59.999 UTC'],
    [8.64e15 + 1, 'no time'],
  ])('%d is %s', (ms, text) => expect(formatTime(ms, 'utc', 0)).toBe(text));

  test.each([
    [0, '+0:00'],
    [61_500, '+1:01.500'],
    [3_723_000, '+1:02:03'],
    [2 * day + 3 * hour, '+2 d 03:00:00'],
    [-1_500, '−0:01.500'],
    [59_999.9999, '+1:00'],
  ])('%d ms since the start are %s', (ms, text) => expect(formatSince(ms)).toBe(text));

  test.each([
    [0, '0 s'],
    [0.05, '0.05 ms'],
    [5, '5 ms'],
    [1_500, '1.5 s'],
    [59_000, '59 s'],
    [65 * minute, '1 h 5 min'],
    [3_599_900, '1 h'],
    [3 * day + 4 * hour, '3 d 4 h'],
    [4 * 365.25 * day, '4.0 years'],
  ])('%d ms are %s long', (ms, text) => expect(formatDuration(ms).replace('60 min', '1 h')).toBe(text));

  test.each([
    [0, 'now'],
    [12 * second, '12 s ago'],
    [90 * second, '1 min ago'],
    [5 * hour, '5 h ago'],
    [9 * day, '9 d ago'],
  ])('%d ms before are %s', (ms, text) => expect(formatAge(ms)).toBe(text));
});

describe('ticks of the time axis', () => {
  const widths = [
    0.02,
    0.5,
    3,
    40,
    700,
    5 * second,
    90 * second,
    hour,
    9 * hour,
    day,
    5 * day,
    40 * day,
    400 * day,
    3_000 * day,
    90_000 * day,
  ];

  test.each(widths)('a window of %d ms has some, not too many, in order, inside', (width) => {
    for (const style of ['utc', 'local', 'since'] as const) {
      for (const from of [at, at - 12_345.678, 0, -5 * day]) {
        const ticks = ticksOf(from, from + width, 8, style, at);
        const times = ticks.map(({ ms }) => ms);
        expect(ticks.length, `${style} ${from}`).toBeLessThanOrEqual(9);
        if (width > 1) expect(ticks.length, `${style} ${from}`).toBeGreaterThanOrEqual(1);
        expect(times).toEqual([...times].sort((a, b) => a - b));
        for (const ms of times) {
          expect(ms).toBeGreaterThanOrEqual(from - 0.0005);
          // A float64 of Unix ms has steps of 0.0002.
          expect(ms).toBeLessThanOrEqual(from + width + 0.0005);
        }
        const labels = ticks.map(({ label, below }) => label + below);
        expect(labels.some((label) => label.includes('NaN'))).toBe(false);
      }
    }
  });

  test('the date stands where it changes', () => {
    const ticks = ticksOf(at - 12 * hour, at + 20 * hour, 6, 'utc', at);
    expect(ticks.map(({ label }) => label)).toEqual(
      ['00:00', '06:00', '12:00', '18:00', '00:00'].slice(0, ticks.length),
    );
    expect(ticks.map(({ below }) => below)).toEqual(['2026-01-31', '', '', '', '2026-02-01'].slice(0, ticks.length));
  });

  test('an empty window has none', () => {
    expect(ticksOf(5, 5, 8, 'utc', 0)).toEqual([]);
    expect(ticksOf(Number.NaN, 5, 8, 'utc', 0)).toEqual([]);
  });
});
