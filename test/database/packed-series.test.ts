import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyOutOn } from '../../src/database/copy-out.ts';
import { type OwnerDatabase, openAsOwner } from '../../src/database/database.ts';
import { encodeFloat8Array } from '../../src/database/float8-array.ts';
import { scaleOf, unpack } from '../../src/database/packed-series.ts';
import { createPacker } from '../../src/database/series-packer.ts';
import {
  decodeSeries,
  lastValueOfChunk,
  pointsOfChunk,
  readSeries,
  timesColumns,
  valuesColumns,
  valuesOfChunk,
} from '../../src/database/stored-series.ts';
import { forEachCopyRow } from '../../src/lib/copy-binary.ts';
import { GrowingBytes } from '../../src/lib/growing-bytes.ts';
import { cloneDatabase } from '../support/test-server.ts';

type Readings = (number | null)[];

const packer = createPacker();
const pack = (readings: Readings) => packer.pack(Float64Array.from(readings, (one) => one ?? Number.NaN));

/** What comes back of readings without a database, null where they are sent as they are. */
function roundTrip(readings: Readings): Readings | null {
  const packed = pack(readings);
  return packed === undefined
    ? null
    : Array.from(unpack(packed, readings.length), (one) => (Number.isNaN(one) ? null : one));
}

/** Bytes of a residual, or `as sent`. */
function formOf(readings: Readings): number | 'as sent' {
  const packed = pack(readings);
  return packed === undefined ? 'as sent' : packed.residuals.length / readings.length;
}

const bits = (readings: Iterable<number | null>) =>
  Array.from(readings, (reading) => {
    if (reading === null || Number.isNaN(reading)) return null;
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, reading);
    return view.getBigUint64(0).toString(16);
  });

const from = (length: number, of: (i: number) => number | null): Readings => Array.from({ length }, (_, i) => of(i));
/** Random numbers that are the same in every run. */
function randomOf(seed: number) {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

describe('series are packed as whole numbers', () => {
  const random = randomOf(1);
  const start = 1_704_067_200;
  test.each<[string, Readings, number, number]>([
    ['a constant', from(100, () => 21.5), 0, 10],
    ['regular times', from(100, (i) => Number((start + i / 10).toFixed(1))), 0, 10],
    ['regular times that count from 0', from(1_000, (i) => i), 0, 1],
    ['descending times', from(100, (i) => start - i), 0, 1],
    ['one point', [21.125], 0, 1_000],
    ['values with three decimals', from(100, () => Number((random() * 60).toFixed(3))), 2, 1_000],
    ['the same over a wide range', from(100, () => Number((random() * 6_000).toFixed(3))), 3, 1_000],
    ['a ramp with noise', from(1_000, (i) => Number((i * 7 + random()).toFixed(2))), 1, 100],
    ['pressures', from(100, () => Number(`${(1 + random()).toFixed(3)}e-9`)), 2, 1e12],
    ['times in µs with jitter', from(100, (i) => Number((start + i + random() * 0.002).toFixed(6))), 2, 1e6],
    ['times of a clock, 1 ms of jitter', from(1_000, (i) => start + i + (random() - 0.5) * 0.002), 2, 2 ** 22],
    ['times of a clock, 20 ms of jitter', from(1_000, (i) => start + i + (random() - 0.5) * 0.04), 3, 2 ** 22],
    ['float32', from(100, () => Math.fround(100 + random())), 3, 2 ** 17],
    ['readings with all digits around a level', from(100, () => 300 + Math.sqrt(random())), 6, 2 ** 44],
    ['far apart', [0, 2 ** 32, 2 ** 33, 5], 5, 1],
    ['nulls among them', from(100, (i) => (i % 3 === 0 ? null : 20 + (i % 2) / 10)), 1, 10],
    ['nulls among equal ones', from(100, (i) => (i % 3 === 0 ? null : 1)), 1, 1],
    ['nulls at both ends', [null, 1, 2, null], 1, 1],
    ['whole numbers of many digits', [9_007_199_254_740_000, 9_007_199_254_740_991], 0, 1],
    ['powers of two far below 1', from(100, (i) => (i % 5) * 2 ** -900), 1, 2 ** 900],
  ])('%s', (_what, readings, width, scale) => {
    expect([formOf(readings), scaleOf(pack(readings)?.exponent ?? Number.NaN)]).toEqual([width, scale]);
    expect(bits(roundTrip(readings) ?? [])).toEqual(bits(readings));
  });

  test.each<[string, Readings]>([
    ['a zero below zero', [1, -0, 2]],
    ['nothing but zeros below zero', [-0, -0]],
    ['nothing but null', [null, null]],
    ['denormals', [5e-324, 2.2e-308]],
    ['the ends of float64', [-Number.MAX_VALUE, Number.MAX_VALUE]],
    ['mixed exponents', [1e-9, 1e9]],
    ['numbers beyond 2^53', [2 ** 53 + 2, 2 ** 60, 1e22]],
    ['2^53 itself', [2 ** 53, 1, 2 ** 53]],
    ['random numbers with all digits', from(100, () => Math.sqrt(2 + random()))],
    ['a single time far away', [1e15, 0.001, 0.002]],
  ])('%s are sent as they are', (_what, readings) => {
    expect(pack(readings)).toBeUndefined();
  });

  test('a step or a base beyond 2^53 is none', () => {
    const large = Number.MAX_SAFE_INTEGER;
    for (const readings of [
      [large, -large],
      [-large, large, -large],
      [-large, 0, large],
      [0, large, 0],
      [null, null, -large, null, large],
      [large, null, null, null, large - 2],
    ]) {
      const back = roundTrip(readings);
      if (back !== null) expect(bits(back)).toEqual(bits(readings));
    }
  });
});

const decimals = fc.integer({ min: 0, max: 12 });
const reading = fc.oneof(
  { weight: 3, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
  {
    weight: 12,
    arbitrary: fc.tuple(fc.integer(), decimals).map(([whole, digits]) => Number(`${whole}e-${digits}`)),
  },
  { weight: 3, arbitrary: fc.float({ noNaN: true, noDefaultInfinity: true }) },
  { weight: 2, arbitrary: fc.maxSafeInteger() },
  {
    weight: 2,
    arbitrary: fc.constantFrom(0, -0, 5e-324, 2 ** 53, -(2 ** 53), 1e22, 1e23, 1e-22, 2 ** -1074, Number.MAX_VALUE),
  },
  { weight: 2, arbitrary: fc.constant(null) },
);
const anyReadings = fc.array(reading, { minLength: 1, maxLength: 40 });
/** Numbers of one kind, as one instrument sends them. */
const alike = fc
  .record({
    length: fc.integer({ min: 1, max: 60 }),
    offset: fc.oneof(fc.integer(), fc.constant(1_704_067_200), fc.maxSafeInteger()),
    step: fc.oneof(
      fc.constant(0),
      fc.integer({ min: -1_000, max: 1_000 }),
      fc.double({ min: -10, max: 10, noNaN: true }),
    ),
    jitter: fc.constantFrom(0, 1e-6, 1e-3, 0.1, 10, 1e5, 1e10),
    digits: fc.oneof(decimals, fc.constant(null)),
    nulls: fc.constantFrom(0, 0, 0.2),
    seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  })
  .map(({ length, offset, step, jitter, digits, nulls, seed }) => {
    const random = randomOf(seed);
    return from(length, (i) => {
      if (random() < nulls) return null;
      const sum = offset + step * i + (random() - 0.5) * jitter;
      return digits === null ? sum : Number(sum.toFixed(digits));
    });
  });
/** Whole numbers around the bounds of the forms. */
const atBounds = fc
  .tuple(
    fc.constantFrom(2 ** 8, 2 ** 16, 2 ** 24, 2 ** 32, 2 ** 40, 2 ** 48, 2 ** 53),
    fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 2, maxLength: 8 }),
  )
  .map(([bound, offsets]): Readings => offsets.map((offset, i) => (i % 2 === 0 ? offset : bound + offset)));
const series = fc.oneof(
  { weight: 3, arbitrary: alike },
  { weight: 2, arbitrary: anyReadings },
  { weight: 1, arbitrary: atBounds },
);

test('every bit comes back, whatever is sent', { timeout: 60_000 }, () => {
  const numRuns = Number(process.env.PACKED_RUNS ?? 20_000);
  const forms = new Map<number | string, number>();
  fc.assert(
    fc.property(series, (readings) => {
      const back = roundTrip(readings);
      const form = formOf(readings);
      forms.set(form, (forms.get(form) ?? 0) + 1);
      if (back !== null) expect(bits(back)).toEqual(bits(readings));
    }),
    { numRuns },
  );
  // Each form has been met often.
  for (const form of [0, 1, 2, 3, 4, 5, 6, 'as sent'])
    expect(forms.get(form), String(form)).toBeGreaterThan(numRuns / 100);
});

describe('in PostgreSQL', () => {
  let database: OwnerDatabase;
  let client: pg.PoolClient;
  beforeAll(async () => {
    database = openAsOwner(await cloneDatabase(), { onIdleError: () => {} });
    client = await database.pool.connect();
    await client.query(`create table kept as select ${['id', 'point_count'].map((name) => `0 as ${name}`)}, k.*
      from (select ${[...timesColumns, ...valuesColumns]} from chunks) k where false`);
  });
  afterAll(async () => {
    client?.release();
    await database?.close();
  });

  /** The columns of a series as parameters, in the order of the table. @param apart how many bytes stand apart */
  function columnsOf(readings: Readings, apart: number): unknown[] {
    const packed = pack(readings);
    if (packed === undefined) return [encodeFloat8Array(readings), null, null, null, null, null];
    const { exponent, base, step, residuals } = packed;
    const kept = Math.max(residuals.length - apart, Math.min(residuals.length, 1));
    const parts = [residuals.subarray(0, kept), residuals.subarray(kept)].map((part) =>
      part.length === 0 ? null : part,
    );
    // A step of 0 is one also where it is written.
    return [null, exponent, base, step === 0 && apart % 2 === 0 ? null : step, ...parts];
  }

  async function store(id: number, times: Readings, values: Readings): Promise<void> {
    const parameters = [id, times.length, ...columnsOf(times, id % 4), ...columnsOf(values, id % 7)];
    const types = ['integer', 'integer', ...Array.from({ length: 2 }, () => seriesTypes).flat()];
    const written = types.map((type, i) => `$${i + 1}::${type}`);
    await client.query(`insert into kept values (${written.join(', ')})`, parameters);
  }
  const seriesTypes = ['float8[]', 'smallint', 'bigint', 'bigint', 'bytea', 'bytea'];

  test('decodes the same in SQL and here, bit for bit', async () => {
    const pairs = fc.sample(fc.tuple(series, series), 300).map(([one, other], id) => {
      const length = Math.min(one.length, other.length);
      return { id, times: one.slice(0, length), values: other.slice(0, length) };
    });
    for (const { id, times, values } of pairs) await store(id, times, values);
    const { rows } = await client.query(
      `select id, array(select row(p.place, p.seconds, p.value)::text from ${pointsOfChunk('k')} p) as points,
              array_send(${valuesOfChunk('k')}) as sent, ${lastValueOfChunk('k')} as last
       from kept k order by id`,
    );
    const image = await copyOutOn(
      client,
      `select point_count, ${[...timesColumns, ...valuesColumns]} from kept order by id`,
      new GrowingBytes(),
    );
    const decoded: { times: Float64Array; values: Float64Array }[] = [];
    forEachCopyRow(image, (row) => {
      const times = readSeries(row, 1, row.int4(0));
      const values = readSeries(row, 1 + timesColumns.length, row.int4(0));
      decoded.push({ times: decodeSeries(times), values: decodeSeries(values) });
    });
    for (const { id, times, values } of pairs) {
      expect(bits(decoded[id]?.times ?? [])).toEqual(bits(times));
      expect(bits(decoded[id]?.values ?? [])).toEqual(bits(values));
      const own = times.map((time, i) => `(${i},${textOf(time)},${textOf(values[i] as number | null)})`);
      expect(rows[id].points.map(reread)).toEqual(own.map(reread));
      expect(rows[id].sent.equals(encodeFloat8Array(values))).toBe(true);
      expect(bits([rows[id].last])).toEqual(bits(values.slice(-1)));
    }
  });

  const textOf = (reading: number | null) => (reading === null ? '' : Object.is(reading, -0) ? '-0' : String(reading));
  /** PostgreSQL writes exponents otherwise; the shortest digits of a float64 say all its bits. */
  const reread = (point: string) => {
    const [place, ...readings] = point.slice(1, -1).split(',');
    return [place, ...bits(readings.map((text) => (text === '' ? null : Number(text))))];
  };
});
