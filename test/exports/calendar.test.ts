import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CalendarTime } from '../../src/exports/calendar.ts';

const time = new CalendarTime();

function shown(seconds: number): [text: string, micros: bigint] | undefined {
  return time.set(seconds) ? [Buffer.from(time.text()).toString(), time.micros()] : undefined;
}

test.each([
  [0, '1970-01-01T00:00:00.000000Z', 0n],
  [-0.000_001, '1969-12-31T23:59:59.999999Z', -1n],
  [1_700_000_000.123_456_7, '2023-11-14T22:13:20.123457Z', 1_700_000_000_123_457n],
  [1_700_000_000.999_999_8, '2023-11-14T22:13:21.000000Z', 1_700_000_001_000_000n],
  [-62_135_596_800, '0001-01-01T00:00:00.000000Z', -62_135_596_800_000_000n],
  [253_402_300_799, '9999-12-31T23:59:59.000000Z', 253_402_300_799_000_000n],
])('%d s', (seconds, text, micros) => {
  expect(shown(seconds)).toEqual([text, micros]);
});

test.each([Number.NaN, 253_402_300_800, -62_135_596_801, 1e300, -1e300])(
  '%d s is no time of the years 1 to 9999',
  (seconds) => {
    expect(shown(seconds)).toBeUndefined();
  },
);

test('is what Date shows, to the microsecond', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }),
      fc.integer({ min: 0, max: 63 }),
      (whole, part) => {
        // A fraction of 64ths is exact beside any whole second of these years only up to 2^53, so a few bits must do.
        const seconds = whole + part / 64;
        const micros = BigInt(whole) * 1_000_000n + BigInt(Math.round((part / 64) * 1e6));
        const text = new Date(whole * 1_000)
          .toISOString()
          .replace('.000Z', `.${String(Math.round((part / 64) * 1e6)).padStart(6, '0')}Z`);
        expect(shown(seconds)).toEqual([text, micros]);
      },
    ),
  );
});
