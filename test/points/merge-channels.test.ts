import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergeChannels } from '../../src/points/merge-channels.ts';
import type { Batches } from '../../src/points/points.ts';

/** A channel as the times of each of its batches, all ascending. */
type Channel = number[][];

const channel = fc
  .tuple(fc.uniqueArray(fc.nat(30), { maxLength: 20 }), fc.integer({ min: 1, max: 7 }))
  .map(([times, length]): Channel => {
    const ascending = times.sort((a, b) => a - b);
    return Array.from({ length: Math.ceil(ascending.length / length) }, (_, i) =>
      ascending.slice(i * length, (i + 1) * length),
    );
  });

/** Gives its batches in the same two arrays again and again, as the engine does. The value tells channel and time. */
async function* readerOf(batches: Channel, lane: number, closed: number[] = []): Batches {
  const [times, values] = [new Float64Array(30), new Float64Array(30)];
  try {
    for (const batch of batches) {
      times.set(batch);
      values.set(batch.map((time) => time + lane * 100));
      yield { times: times.subarray(0, batch.length), values: values.subarray(0, batch.length) };
    }
  } finally {
    closed.push(lane);
  }
}

test('points come in order of time and channel, each once, and a row is never torn', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      // Few channels are looked at one by one; many are kept in a heap.
      fc.oneof(fc.array(channel, { maxLength: 6 }), fc.array(channel, { minLength: 30, maxLength: 60 })),
      fc.integer({ min: 1, max: 12 }),
      async (channels, pointsMax) => {
        const got: [number, number, number][] = [];
        let lastTime = Number.NaN;
        for await (const { times, values, channels: lanes } of mergeChannels(
          channels.map((one, lane) => readerOf(one, lane)),
          pointsMax,
        )) {
          expect(times.length).toBeGreaterThan(0);
          expect(times.length).toBeLessThanOrEqual(Math.max(pointsMax, channels.length));
          expect(times[0]).not.toBe(lastTime);
          lastTime = times.at(-1) as number;
          times.forEach((time, i) => {
            got.push([time, lanes[i] as number, values[i] as number]);
          });
        }
        const all = channels.flatMap((one, lane) => one.flat().map((time) => [time, lane, time + lane * 100]));
        expect(got).toEqual(all.sort(([a = 0, b = 0], [c = 0, d = 0]) => a - c || b - d));
      },
    ),
    { numRuns: 300 },
  );
});

test('who stops in the middle ends the reading of every channel', async () => {
  const closed: number[] = [];
  const readers = [[[1], [3]], [[2], [4]], [[1]]].map((one, lane) => readerOf(one, lane, closed));
  for await (const _ of mergeChannels(readers, 1)) break;
  expect(closed.sort()).toEqual([0, 1, 2]);
});

test('a row costs as much as it has points, not as much as there are channels', async () => {
  const count = 4_000;
  const channels = Array.from({ length: count }, (_, lane): Channel => [[0, 1, 2, 3, 4].map((k) => k * count + lane)]);
  let rows = 0;
  const before = process.cpuUsage();
  for await (const { times } of mergeChannels(
    channels.map((one, lane) => readerOf(one, lane)),
    8_192,
  ))
    rows += times.length;
  const { user, system } = process.cpuUsage(before);
  expect(rows).toBe(5 * count);
  // Looking at every channel for each of the 20,000 rows takes several times as long on any machine.
  expect((user + system) / 1_000).toBeLessThan(250);
});
