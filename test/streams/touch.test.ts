import { expect, test } from 'vitest';
import type { ChunkRun } from '../../src/streams/chunk-store.ts';
import { joinRuns } from '../../src/streams/touch.ts';

const run = (dataId: string, channelId: number, firstIndex: number, lastIndex = firstIndex): ChunkRun => ({
  ...{ dataId, channelId, firstIndex, lastIndex },
});

test('chunks of a channel that follow one another are one run, in whatever order they came', () => {
  expect(joinRuns([run('a', 1, 7), run('a', 1, 5), run('a', 1, 6)])).toEqual([run('a', 1, 5, 7)]);
});

test('a chunk that is there twice, or within a run, is looked up once', () => {
  expect(joinRuns([run('a', 1, 5), run('a', 1, 5), run('a', 1, 2, 8), run('a', 1, 9)])).toEqual([run('a', 1, 2, 9)]);
});

test('a gap stays one, since all that stands in it would be read', () => {
  expect(joinRuns([run('a', 1, 1_000_000), run('a', 1, 0), run('a', 1, 1)])).toEqual([
    run('a', 1, 0, 1),
    run('a', 1, 1_000_000),
  ]);
});

test('channels stay apart, of one stream and of several', () => {
  const apart = [run('a', 1, 5), run('b', 1, 6), run('a', 2, 7)];
  expect(joinRuns(apart)).toEqual(apart);
});

test('what is given is not changed', () => {
  const given = [run('a', 1, 5), run('a', 1, 6)];
  joinRuns(given);
  expect(given).toEqual([run('a', 1, 5), run('a', 1, 6)]);
});
