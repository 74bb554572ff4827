import fc from 'fast-check';
import type { Selection } from '../../../src/points/selection.ts';
import type { ModelChunk } from './model.ts';

const chunksMax = 90;
const index = fc.nat(chunksMax - 1);
const few = (maxLength: number) => fc.array(index, { maxLength });
const place = fc.integer({ min: -50, max: 120 });
const value = fc.option(fc.integer({ min: -5, max: 5 }), { nil: null, freq: 4 });
const length = fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 6 }) }, fc.integer({ min: 7, max: 60 }));
/** The ends of time, in seconds. */
const ends = [-8.64e12, 8.64e12];

/**
 * Chunks in order of time, but for some: missing, mixed with others, stored twice, without readings or times, with equal times and
 * times that share a ms, with single points at wrong times or none.
 */
const anyChannel: fc.Arbitrary<ModelChunk[]> = fc
  .record({
    chunkCount: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: chunksMax })),
    /** From one index to the next. */
    indexStep: fc.constantFrom(1, 1, 1, 1, 2),
    missing: few(6),
    lengths: fc.array(length, { minLength: 1, maxLength: 5 }),
    /** Seconds from one point to the next. */
    step: fc.constantFrom(0.0002, 0.0005, 0.0007, 0.01, 1),
    /** After so many points of a chunk its times begin again. */
    timesMax: fc.constantFrom(1, 5, 5, 60),
    isReversed: fc.boolean(),
    /** After so many chunks their times begin again. */
    placesMax: fc.constantFrom(1, 3, 1_000, 1_000, 1_000),
    elsewhere: fc.array(fc.tuple(index, place), { maxLength: 4 }),
    strayPoints: fc.array(fc.tuple(index, fc.nat(5), fc.constantFrom(...ends, null), place, fc.nat(7)), {
      maxLength: 4,
    }),
    timeless: few(2),
    empty: few(4),
    values: fc.array(value, { minLength: 7, maxLength: 60 }),
  })
  .map(({ chunkCount, indexStep, missing, lengths, step, empty, values, ...given }) => {
    const { timesMax, isReversed, placesMax, elsewhere, strayPoints, timeless } = given;
    const placeLength = Math.min(timesMax, Math.max(...lengths)) + 1;
    const places = new Map(elsewhere);
    const indexes = Array.from({ length: chunkCount }, (_, at) => at).filter((at) => !missing.includes(at));
    return indexes.map((at): ModelChunk => {
      const numbers = Array.from({ length: lengths[at % lengths.length] as number }, (_, i) => i);
      const begin = ((places.get(at) ?? (isReversed ? -at : at)) % placesMax) * placeLength;
      const timestamps = numbers.map((i): number | null =>
        timeless.includes(at) ? null : (begin + (i % timesMax)) * step,
      );
      for (const [chunk, position, far, near, kind] of strayPoints) {
        if (chunk === at && position < numbers.length)
          timestamps[position] = kind === 0 ? far : near * placeLength * step;
      }
      const valueAt = (i: number) => (empty.includes(at) ? null : (values[(at * 7 + i) % values.length] ?? null));
      return { chunk_index: at * indexStep, timestamps, values: numbers.map(valueAt) };
    });
  })
  .filter((chunks) => chunks.length > 0);

/** A bound of a window: at one of the points of its channel or beside it; anywhere; none. */
const bound = fc.option(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ share: fc.nat(999), besideMs: fc.integer({ min: -3, max: 3 }) }) },
    {
      weight: 1,
      arbitrary: fc.integer({ min: -20_000, max: 500_000 }).map((besideMs) => ({ besideMs, share: undefined })),
    },
  ),
  { nil: undefined, freq: 1 },
);

function boundMs(chunks: ModelChunk[], given: { share: number | undefined; besideMs: number } | undefined) {
  if (given?.share === undefined) return given?.besideMs;
  const times = chunks.flatMap(({ timestamps }) => timestamps.filter((time) => time !== null)).sort((a, b) => a - b);
  return Math.round((times[Math.floor((given.share * times.length) / 1_000)] ?? 0) * 1_000) + given.besideMs;
}

/** A channel, a window of it, and how many points of that may be shown. */
export const anyRead = fc
  .record({
    chunks: anyChannel,
    bounds: fc.tuple(bound, bound),
    max_points: fc.oneof(fc.integer({ min: 4, max: 20 }), fc.integer({ min: 4, max: 80 })),
    carry_in: fc.boolean(),
  })
  .map(({ chunks, bounds: [one, other], max_points, carry_in }) => {
    const [first, last] = [boundMs(chunks, one), boundMs(chunks, other)];
    const isTurned = first !== undefined && last !== undefined && first > last;
    const window = { startMs: isTurned ? last : first, endMs: isTurned ? first : last };
    const given = Object.fromEntries(Object.entries(window).filter(([, ms]) => ms !== undefined));
    const selection: Omit<Selection, 'max_points'> & { max_points: number } = { ...given, max_points, carry_in };
    return { chunks, selection };
  });

/** Blocks of an overview that have not been made, by level and number. */
export const blocksNotMade = fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.nat(12)), { maxLength: 5 });
