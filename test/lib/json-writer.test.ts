import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonWriter } from '../../src/lib/json-writer.ts';

const written = (value: number) => new JsonWriter(1_000).float(value).take().toString();
const bits = (value: number) => new Uint8Array(new Float64Array([value]).buffer).join();

describe('floats', () => {
  test.each([
    [25, '25.0'],
    [0, '0.0'],
    [-0, '-0.0'],
    [-25.5, '-25.5'],
    [0.001, '0.001'],
    [-0.01, '-0.01'],
    [1.1, '1.1'],
    [0.1 + 0.2, '0.30000000000000004'],
    [1e15, '1000000000000000.0'],
    [999999999999.999, '999999999999.999'],
    [-1e20, '-100000000000000000000.0'],
    [1e21, '1e+21'],
    [5e-324, '5e-324'],
    [Number.MAX_VALUE, '1.7976931348623157e+308'],
    [1_705_312_200.123456, '1705312200.123456'],
    [Number.NaN, 'null'],
  ])('%d is written %s', (value, text) => {
    expect(written(value)).toBe(text);
  });

  test('every float64 reads back to the same bits and shows that it is one', () => {
    const decimal = fc.tuple(fc.integer(), fc.nat(7)).map(([digits, places]) => digits / 10 ** places);
    fc.assert(
      fc.property(
        fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), decimal, fc.maxSafeInteger()),
        (value) => {
          const text = written(value);
          expect(bits(Number(text))).toBe(bits(value));
          expect(text).toMatch(/[.e]/);
          expect(text.length).toBeLessThanOrEqual(Math.max(String(value).length + 2, 4));
        },
      ),
      { numRuns: 3_000 },
    );
  });
});

test('whole numbers and thousandths are written as JavaScript writes them', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      expect(new JsonWriter(1_000).integer(value).take().toString()).toBe(String(value + 0));
      const relative = JSON.parse(new JsonWriter(1_000).thousandths(value).take().toString());
      expect(relative).toBe(value / 1_000 + 0);
    }),
    { numRuns: 3_000 },
  );
});

test('lists go on where a full piece has ended, and the pieces stay small', () => {
  const values = Float64Array.from({ length: 5_000 }, (_, i) => i * 1.37);
  const writer = new JsonWriter(256);
  const pieces: Buffer[] = [];
  writer.beginList();
  for (let i = 0; i < values.length; ) {
    i = writer.floats(values, i);
    if (writer.isFull) pieces.push(writer.take());
  }
  pieces.push(writer.endList().take());
  expect(JSON.parse(Buffer.concat(pieces).toString())).toEqual([...values]);
  expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(256 + 64);
});

test('text of any length and alphabet passes', () => {
  const name = `µ 😀 "\\ ${'x'.repeat(3_000)}`;
  expect(JSON.parse(new JsonWriter(16).value(name).take().toString())).toBe(name);
});
