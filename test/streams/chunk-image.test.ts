import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeFloat8Array } from '../../src/database/float8-array.ts';
import { createPacker } from '../../src/database/series-packer.ts';
import { type ChannelReadings, toChunkImage } from '../../src/streams/chunk-image.ts';

/** SHA-256 over both arrays as PostgreSQL's binary float8[] and, behind a zero byte, the unit. */
function hashOf({ timestamps, values, units }: ChannelReadings): string {
  const hash = createHash('sha256').update(encodeFloat8Array(timestamps)).update(encodeFloat8Array(values));
  return (units ? hash.update(`\0${units}`) : hash).digest('hex');
}

const float = fc.double({ noNaN: true, noDefaultInfinity: true });
const readings = fc
  .array(fc.tuple(fc.option(float), fc.option(float)), { minLength: 1, maxLength: 300 })
  .chain((points) =>
    fc.record({
      timestamps: fc.constant(points.map(([time]) => time)),
      values: fc.constant(points.map(([, value]) => value)),
      units: fc.option(fc.string({ maxLength: 90 })),
    }),
  );

describe('the content hash', () => {
  test('is that of the bits and the unit, packed or not, whatever was pictured before', () => {
    const packer = createPacker();
    fc.assert(
      fc.property(readings, (sent) => {
        expect(toChunkImage(sent).contentHash.toString('hex')).toBe(hashOf(sent));
        expect(toChunkImage(sent, packer).contentHash.toString('hex')).toBe(hashOf(sent));
      }),
    );
  });

  test('tells −0 from 0, null from 0, and a unit from none; an empty unit is none', () => {
    const of = (values: (number | null)[], units?: string) =>
      toChunkImage({ timestamps: [1], values, ...(units !== undefined && { units }) }).contentHash.toString('hex');
    expect(new Set([of([0]), of([-0]), of([null]), of([0], 'nm')]).size).toBe(4);
    expect(of([0], '')).toBe(of([0]));
  });
});

test('what reads need to know leaves out points without a possible time, and takes the first of equal extremes', () => {
  const image = toChunkImage({
    timestamps: [30, null, 1e300, 10, 20, 40],
    values: [5, -99, 99, 7, 7, null],
    units: 'nm',
  });
  expect(image).toMatchObject({
    ...{ units: 'nm', pointCount: 6, nullCount: 1, ascending: false, timeMin: 10, timeMax: 40 },
    ...{ valueMin: 5, valueMinTime: 30, valueMax: 7, valueMaxTime: 10 },
    ...{ valueCount: 3, absentCount: 1, valueSum: 19 },
  });
});

test('a chunk without a possible time, and one without readings, have no span and no extremes', () => {
  const none = { valueMin: null, valueMax: null, valueMinTime: null, valueMaxTime: null };
  expect(toChunkImage({ timestamps: [null, 1e300], values: [1, 2] })).toMatchObject({
    ...{ ...none, timeMin: null, timeMax: null, ascending: false },
  });
  expect(toChunkImage({ timestamps: [1, 1], values: [null, null] })).toMatchObject({
    ...{ ...none, timeMin: 1, timeMax: 1, ascending: true, nullCount: 2 },
  });
});
