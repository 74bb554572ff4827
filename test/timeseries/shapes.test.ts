import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modelDownSampled } from '../points/support/down-sampled-model.ts';
import { asMap, memorySource, readOf } from '../points/support/memory-source.ts';
import { type ModelChunk, modelProperties, modelRows } from '../points/support/model.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openStream, storeChunk } from './support/storing.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** Times that meet often: few distinct ms, some of them at 0.1 ms, some absent, some no possible time. */
const time = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: -40, max: 400 }).map((tenths) => 1_700_000 + tenths / 10_000) },
  { weight: 3, arbitrary: fc.double({ min: 1_699_999, max: 1_700_001, noNaN: true }) },
  { weight: 1, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constantFrom(1e300, -8.7e12, 8.64e12 + 0.01) },
);
const value = fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }), { nil: null, freq: 6 });
const points = fc
  .tuple(fc.array(fc.tuple(time, value), { minLength: 1, maxLength: 12 }), fc.boolean())
  .map(([list, ascending]) => (ascending ? list.sort(([a], [b]) => (a ?? 0) - (b ?? 0)) : list));
const chunk = fc.tuple(fc.nat(30), points).map(
  ([chunk_index, list]): ModelChunk => ({
    chunk_index,
    timestamps: list.map(([at]) => at),
    values: list.map(([, reading]) => reading),
  }),
);
const channel = fc.uniqueArray(chunk, { minLength: 1, maxLength: 8, selector: (one) => one.chunk_index });
const name = fc.constantFrom('a', 'b', '__proto__', 'constructor', 'toString', 'µ "quoted"\\', 'x/y %', '😀');
const stream = fc
  .uniqueArray(fc.tuple(name, channel), { minLength: 1, maxLength: 4, selector: ([one]) => one })
  .map((channels) => new Map(channels));
const window = fc.record({
  last_n: fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined }),
  elapsed_seconds: fc.option(
    fc.integer({ min: -5, max: 60 }).map((ms) => ms / 1000),
    { nil: undefined },
  ),
});
const instant = fc.option(
  fc.integer({ min: -10, max: 60 }).map((ms) => 1_700_000 + ms / 1000),
  { nil: undefined },
);
const timedWindow = fc
  .tuple(window, instant, instant)
  .map(([one, a, b]) => ({ ...one, start: a, end: a !== undefined && b !== undefined && b < a ? undefined : b }));

async function store(channels: Map<string, ModelChunk[]>): Promise<string> {
  const dataId = await openStream(server);
  for (const [channelName, chunks] of channels) {
    for (const one of chunks) await storeChunk(server, dataId, channelName, one);
  }
  return dataId;
}

function queryOf(parameters: Record<string, unknown>): string {
  const query = new URLSearchParams();
  for (const [key, one] of Object.entries(parameters)) if (one !== undefined) query.set(key, String(one));
  return query.toString();
}

const cell = (reading: number | null) => (reading === null ? 'null' : Object.is(reading, -0) ? '-0' : String(reading));

describe('compared with a plain model', { timeout: 60_000 }, () => {
  test('properties and series hold the points of the model, in its order', async () => {
    await fc.assert(
      fc.asyncProperty(stream, timedWindow, async (channels, wanted) => {
        const dataId = await store(channels);
        const answer = await server.get(`/metrology/${dataId}/timeseries/?${queryOf(wanted)}`);
        expect(answer.status).toBe(200);
        const { shown, zeroMs } = modelProperties(channels, wanted);
        const properties = new Map<string, Record<string, number[]>>(Object.entries(answer.json.properties));
        expect([...properties.keys()].sort()).toEqual([...shown.keys()].sort());
        for (const [channelName, list] of shown) {
          const got = properties.get(channelName) as Record<string, number[]>;
          expect(got.unix_timestamp_ms).toEqual(list.map(({ ms }) => ms));
          expect(got.relative_time_seconds).toEqual(list.map(({ ms }) => (ms - zeroMs) / 1000));
          expect((got.values as number[]).map(cell)).toEqual(list.map((point) => cell(point.value)));
        }
        expect(rowsOf(answer.json.series)).toEqual(comparable(modelRows(shown, zeroMs)));
        const byProperty = await server.get(`/tool-state/${dataId}/timeseries/?${queryOf(wanted)}`);
        expect(byProperty.json.properties).toEqual(answer.json.properties);
      }),
      { numRuns: 20 },
    );
  });

  test('down-sampled it is what the same chunks give in memory, and what the model of it says', async () => {
    await fc.assert(
      fc.asyncProperty(channel, timedWindow, fc.integer({ min: 4, max: 30 }), async (chunks, wanted, max_points) => {
        const dataId = await store(new Map([['v', chunks]]));
        const query = queryOf({ ...wanted, elapsed_seconds: undefined, max_points });
        const { json } = await server.get(`/tool-state/${dataId}/timeseries/?${query}`);
        const [startMs, endMs] = [wanted.start, wanted.end].map((at) => at && Math.round(at * 1000));
        const selection = { last_n: wanted.last_n, startMs, endMs, max_points };
        const given = Object.fromEntries(Object.entries(selection).filter(([, one]) => one !== undefined));
        const possible = chunks.map(withPossibleTimes);
        const expected = await readOf(memorySource(asMap(possible)), given);
        // The model knows nothing of `last_n`.
        if (wanted.last_n === undefined) {
          const { rules, ...model } = modelDownSampled(possible, { startMs, endMs, max_points });
          expect(expected).toEqual(model);
        }
        const { v } = json.properties;
        if (v === undefined) {
          // Nothing may be returned: the library takes the value of an assertion for that of the property.
          expect(expected.points).toEqual([]);
          return;
        }
        expect(v.unix_timestamp_ms).toEqual(expected.points.map(({ ms }) => ms));
        expect(v.values.map(cell)).toEqual(expected.points.map((point) => cell(point.value)));
        expect(json.gaps.v.map((gap: object) => Object.values(gap))).toEqual(
          expected.gaps.map((gap) => [gap.fromChunk, gap.toChunk, gap.endMs, gap.beginMs]),
        );
      }),
      { numRuns: 20 },
    );
  });

  test('the rheed shape holds the last rows of the join', async () => {
    await fc.assert(
      fc.asyncProperty(stream, window, async (channels, wanted) => {
        const dataId = await store(channels);
        const answer = await server.get(`/rheed/timeseries/${dataId}/?${queryOf(wanted)}`);
        const { shown, zeroMs } = modelProperties(channels, { elapsed_seconds: wanted.elapsed_seconds });
        const rows = comparable(modelRows(shown, zeroMs));
        const got = answer.json.series_by_angle.flatMap((block: { series: object[] }) => rowsOf(block.series));
        expect(got).toEqual(wanted.last_n === undefined ? rows : rows.slice(-wanted.last_n));
      }),
      { numRuns: 20 },
    );
  });

  test('the raw read gives every chunk back as it was sent', async () => {
    await fc.assert(
      fc.asyncProperty(stream, async (channels) => {
        const dataId = await store(channels);
        for (const [channelName, chunks] of channels) {
          const answer = await server.get(`/tool-state/${dataId}/points/?${queryOf({ channel: channelName })}`);
          const sorted = chunks.toSorted((a, b) => a.chunk_index - b.chunk_index);
          expect(answer.json.chunks.map((one: ModelChunk) => one.chunk_index)).toEqual(
            sorted.map((one) => one.chunk_index),
          );
          expect(answer.json.chunks.map((one: ModelChunk) => [one.timestamps.map(cell), one.values.map(cell)])).toEqual(
            sorted.map((one) => [one.timestamps.map(cell), one.values.map(cell)]),
          );
        }
      }),
      { numRuns: 20 },
    );
  });
});

const withPossibleTimes = ({ timestamps, ...chunk }: ModelChunk): ModelChunk => ({
  ...chunk,
  timestamps: timestamps.map((time) => (time !== null && Math.abs(Math.round(time * 1000)) > 8.64e15 ? null : time)),
});

interface ComparableRow {
  ms: number;
  relative: number;
  cells: [string, string][];
}

/** Rows as JSON.parse gives them: a channel `__proto__` is an own key there. */
function rowsOf(series: object[]): ComparableRow[] {
  return series.map((row) => {
    const entries = new Map<string, number>(Object.entries(row));
    const ms = entries.get('unix_timestamp_ms') as number;
    const relative = entries.get('relative_time_seconds') as number;
    entries.delete('unix_timestamp_ms');
    entries.delete('relative_time_seconds');
    return { ms, relative, cells: sortedCells(entries) };
  });
}

function comparable(rows: ReturnType<typeof modelRows>): ComparableRow[] {
  return rows.map(({ ms, relative, cells }) => ({ ms, relative, cells: sortedCells(cells) }));
}

function sortedCells(cells: Map<string, number | null>): [string, string][] {
  return [...cells]
    .map(([key, reading]): [string, string] => [key, cell(reading)])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
