import { expect, test } from 'vitest';
import { timesText } from '../../src/page/run/times-text.ts';

const irregular = (...irregularities: string[]) => ({
  irregular: [{ chunk_index: 0, last_chunk_index: 0, chunk_count: 1, point_count: 1, irregularities }],
});

test.each([
  ['milliseconds', irregular('not_ascending', 'times_in_ms'), /look like milliseconds/],
  ['microseconds', irregular('times_in_us'), /look like microseconds/],
  ['nanoseconds', irregular('times_in_ns'), /look like nanoseconds/],
  ['another epoch', irregular('implausible_times'), /no plausible Unix seconds/],
])('who sends times in %s is told where their readings are', (_unit, ledger, words) => {
  expect(timesText(ledger)).toMatch(words);
});

test('nothing is said of plausible times', () => {
  expect(timesText(irregular('short', 'time_jump'))).toBeUndefined();
  expect(timesText({ irregular: [] })).toBeUndefined();
});
