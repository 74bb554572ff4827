import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type OwnerDatabase, openAsOwner } from '../../src/database/database.ts';
import { decodeFloat8Array, encodeFloat8Array } from '../../src/database/float8-array.ts';
import { cloneDatabase } from '../support/test-server.ts';

let database: OwnerDatabase;

beforeAll(async () => {
  const databaseUrl = await cloneDatabase();
  database = openAsOwner(databaseUrl, { onIdleError: () => {} });
  await database.pool.query('create table kept (readings float8[] not null)');
});
afterAll(async () => {
  await database?.close();
});

/** What float64 has to offer: its ends, its smallest, both zeros, and what does not end in binary. */
const extremes = [
  0,
  -0,
  Number.MIN_VALUE,
  -Number.MIN_VALUE,
  2.2250738585072014e-308,
  Number.MAX_VALUE,
  -Number.MAX_VALUE,
  Number.MAX_SAFE_INTEGER,
  0.1,
  1_705_312_200.123456,
  1 + Number.EPSILON,
];
const reading = fc.oneof(
  { weight: 4, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
  { weight: 1, arbitrary: fc.constantFrom(...extremes) },
  { weight: 1, arbitrary: fc.constant(null) },
);
const readings = fc.array(reading, { maxLength: 60 });

/** float64 as its bits, so that 0 and -0 differ; null stays null. */
const bits = (values: Iterable<number | null>) =>
  Array.from(values, (value) => {
    if (value === null || Number.isNaN(value)) return null;
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value);
    return view.getBigUint64(0).toString(16);
  });

describe('float8-array', () => {
  test('writes what array_send writes, byte for byte, and stores it bit for bit', async () => {
    await fc.assert(
      fc.asyncProperty(readings, async (values) => {
        const image = encodeFloat8Array(values);
        // `own` is built by PostgreSQL from the shortest decimal texts, without this codec.
        const texts = values.map((value) => (Object.is(value, -0) ? '-0' : (value?.toString() ?? null)));
        const { rows } = await database.pool.query({
          text: `select array_send($2::text[]::float8[]) as own, array_send($1::float8[]) as sent`,
          values: [image, texts],
        });
        expect(rows[0].own.equals(image)).toBe(true);
        expect(rows[0].sent.equals(image)).toBe(true);
      }),
      { numRuns: 150, examples: [[[]], [[null]], [extremes], [[null, -0, null]]] },
    );
  });

  test('decodes what it encodes, by bits, absent readings as NaN', () => {
    fc.assert(
      fc.property(readings, (values) => {
        expect(bits(decodeFloat8Array(encodeFloat8Array(values)))).toEqual(bits(values));
      }),
      { numRuns: 300, examples: [[[]], [extremes]] },
    );
  });

  test('decodes an image that stands inside a larger buffer', () => {
    const image = encodeFloat8Array([1, null, -0]);
    const larger = Buffer.concat([Buffer.alloc(7), image, Buffer.alloc(3)]);
    expect(bits(decodeFloat8Array(larger.subarray(7, 7 + image.length)))).toEqual(bits([1, null, -0]));
  });

  test('a stored array comes back from its column with every bit', async () => {
    const values = [...extremes, null];
    const { rows } = await database.pool.query({
      text: `with stored as (insert into kept (readings) values ($1::float8[]) returning readings)
             select array_send(readings) as image from stored`,
      values: [encodeFloat8Array(values)],
    });
    const again = await database.pool.query('select array_send(readings) as image from kept');
    for (const { image } of [...rows, ...again.rows]) {
      expect(bits(decodeFloat8Array(image))).toEqual(bits(values));
    }
  });

  test('refuses what is no one-dimensional float8[]', () => {
    const image = encodeFloat8Array([1, 2]);
    const with4 = (offset: number, value: number) => {
      const copy = Buffer.from(image);
      copy.writeInt32BE(value, offset);
      return copy;
    };
    expect(() => decodeFloat8Array(with4(0, 2))).toThrow('one-dimensional');
    expect(() => decodeFloat8Array(with4(8, 700))).toThrow('one-dimensional');
    expect(() => decodeFloat8Array(with4(12, 1))).toThrow('longer than its elements');
    expect(() => decodeFloat8Array(with4(12, 3))).toThrow();
    expect(() => decodeFloat8Array(image.subarray(0, 30))).toThrow();
    expect(() => decodeFloat8Array(Buffer.alloc(0))).toThrow();
  });
});
