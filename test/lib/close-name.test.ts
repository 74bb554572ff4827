import { expect, test } from 'vitest';
import { closestName } from '../../src/lib/close-name.ts';

const known = [
  'data_id',
  'chunk_index',
  'channel_name',
  'timestamps',
  'values',
  'units',
  'raw_name',
  'max_points',
  'last_n',
];

test.each([
  ['unit', 'units'],
  ['Units', 'units'],
  ['raw_nam', 'raw_name'],
  ['raw_nmae', 'raw_name'],
  ['maxpoints', 'max_points'],
  ['maxPoints', 'max_points'],
  ['max-points', 'max_points'],
  ['last_n[]', 'last_n'],
  ['value', 'values'],
  ['channel', 'channel_name'],
  ['timestamp', 'timestamps'],
  ['dataId', 'data_id'],
])('%s is probably %s', (given, meant) => {
  expect(closestName(given, known)).toBe(meant);
});

test.each(['', '__', 'x', 'colour', 'n', 'organization_id', '単位', '🙂', 'x'.repeat(100_000)])(
  '%.20s is close to none',
  (given) => {
    expect(closestName(given, known)).toBeUndefined();
  },
);

test('a typing error is closer than a part, and a short name than a long one', () => {
  expect(closestName('chanel', ['channel_names', 'channel'])).toBe('channel');
  expect(closestName('name', ['stream_name', 'names'])).toBe('names');
  expect(closestName('channel', ['channel_names', 'channel_name'])).toBe('channel_name');
  expect(closestName('name', [])).toBeUndefined();
});
