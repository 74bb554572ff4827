import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asMap, memorySource, readOf } from '../points/support/memory-source.ts';
import { type ModelChunk, modelPoints } from '../points/support/model.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openStream, storeChunk } from './support/storing.ts';

let server: TestServer;
let dataId: string;
const begin = 1_769_846_400;
const ms = (second: number) => (begin + second) * 1_000;

/** A shutter that is logged when it moves, beside a temperature that is measured every second. */
beforeAll(async () => {
  server = await startTestServer();
  dataId = await openStream(server, 10);
  const store = (name: string, chunk_index: number, seconds: number[], values: (number | null)[]) =>
    storeChunk(server, dataId, name, { chunk_index, timestamps: seconds.map((second) => begin + second), values });
  for (let i = 0; i < 10; i++) {
    const seconds = Array.from({ length: 10 }, (_, k) => 10 * i + k);
    await store('temperature', i, seconds, seconds);
  }
  await store('shutter', 0, [0, 12.5], [0, 1]);
  await store('shutter', 7, [73], [0]);
  await store('valve', 0, [5], [null]);
});
afterAll(() => server.close());

const read = async (query: string, room = 'metrology') => {
  const { status, json, text } = await server.get(`/${room}/${dataId}/timeseries/?${query}`);
  expect(status, text).toBe(200);
  return json;
};
const window = `start=${begin + 40}&end=${begin + 42}`;

describe('carry_in adds the last value before a window', () => {
  test('with its own time, and says which point it is', async () => {
    const { properties, carried_in, series } = await read(`${window}&carry_in=true`);
    expect(properties.shutter).toMatchObject({
      values: [1],
      unix_timestamp_ms: [ms(12.5)],
      relative_time_seconds: [12.5],
    });
    expect(properties.temperature.values).toEqual([39, 40, 41, 42]);
    // An absent reading is what was known last.
    expect(properties.valve).toMatchObject({ values: [null], unix_timestamp_ms: [ms(5)] });
    expect(carried_in).toEqual({ shutter: ms(12.5), temperature: ms(39), valve: ms(5) });
    expect(series.slice(0, 3)).toEqual([
      { unix_timestamp_ms: ms(5), relative_time_seconds: 5, valve: null },
      { unix_timestamp_ms: ms(12.5), relative_time_seconds: 12.5, shutter: 1 },
      { unix_timestamp_ms: ms(39), relative_time_seconds: 39, temperature: 39 },
    ]);
    expect(await read(`${window}&carry_in=true`, 'tool-state')).toMatchObject({ properties, carried_in });
  });

  test('beside last_n and max_points, and after elapsed_seconds', async () => {
    const values = async (query: string) => {
      const { shutter, temperature } = (await read(`${query}&carry_in=true`)).properties;
      return [shutter.values, temperature.values];
    };
    expect(await values('last_n=2')).toEqual([
      [0, 1, 0],
      [97, 98, 99],
    ]);
    expect(await values('elapsed_seconds=98')).toEqual([[0], [97, 98, 99]]);
    const [shutter, temperature] = await values(`start=${begin + 20}&max_points=4`);
    expect(temperature).toHaveLength(5);
    expect(temperature?.[0]).toBe(19);
    // Chunks are missing in between, as far as anybody knows.
    expect(shutter).toEqual([1, null, 0]);
  });

  test('not where there is none, and nothing changes without it', async () => {
    const whole = await read('carry_in=true');
    expect(whole.carried_in).toEqual({ shutter: null, temperature: null, valve: null });
    const { carried_in } = await read(`start=${begin}&carry_in=true`);
    expect(carried_in).toEqual({ shutter: null, temperature: null, valve: null });
    const plain = await read(window);
    expect(plain).not.toHaveProperty('carried_in');
    expect(await read(`${window}&carry_in=false`)).toEqual(plain);
    expect(plain.properties.shutter.values).toEqual([]);
  });

  test('to stored chunks as the last point of the one before them', async () => {
    const points = async (query: string) => {
      const { status, json, text } = await server.get(`/tool-state/${dataId}/points/?channel=shutter&${query}`);
      expect(status, text).toBe(200);
      return json.chunks;
    };
    const later = { chunk_index: 7, start_offset: 70, units: null, timestamps: [begin + 73], values: [0] };
    const carried = { chunk_index: 0, start_offset: 1, units: null, timestamps: [begin + 12.5], values: [1] };
    for (const from of [1, 5, 7]) {
      expect(await points(`from_chunk=${from}&carry_in=true`)).toEqual([{ ...carried, carried_in: true }, later]);
    }
    expect(await points('from_chunk=8&carry_in=true')).toEqual([{ ...later, carried_in: true }]);
    expect(await points('carry_in=true')).toEqual(await points(''));
    expect(await points('from_chunk=7')).toEqual([later]);
  });
});

test('whatever a channel holds, it is the newest point before the window', async () => {
  const time = fc.nat(300).map((at) => at / 1_000);
  const channel = fc
    .array(fc.array(time, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 8 })
    .map((lists) =>
      lists.map((timestamps, i): ModelChunk => {
        return { chunk_index: i, timestamps, values: timestamps.map((_, k) => 100 * i + k) };
      }),
    );
  await fc.assert(
    fc.asyncProperty(channel, fc.nat(320), async (chunks, startMs) => {
      const before = modelPoints(chunks).filter((point) => point.ms < startMs);
      const source = memorySource(asMap(chunks));
      const plain = await readOf(source, { startMs });
      const { points } = await readOf(source, { startMs, carry_in: true });
      expect(points).toEqual([...before.slice(-1), ...plain.points]);
    }),
    { numRuns: 500 },
  );
});
