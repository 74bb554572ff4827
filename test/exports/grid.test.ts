import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream, storeChunk } from '../timeseries/support/storing.ts';

/* Rows at even times, and windows, of the wide layout. */

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());

const start = 1_700_000_000;
type Point = [seconds: number, value: number | null];

async function streamOf(channels: Record<string, Point[]>): Promise<string> {
  const dataId = await openStream(server, 5);
  for (const [name, points] of Object.entries(channels)) {
    for (let at = 0; at < points.length; at += 5) {
      const part = points.slice(at, at + 5);
      const chunk = { chunk_index: at / 5, timestamps: part.map(([t]) => start + t), values: part.map(([, v]) => v) };
      await storeChunk(server, dataId, name, chunk);
    }
  }
  return dataId;
}

/** Rows of a wide CSV: seconds after `start`, and the readings. */
async function rowsOf(dataId: string, query: string): Promise<(number | null)[][]> {
  const { status, text } = await server.get(`/exports/${dataId}?layout=wide&${query}`);
  expect([status, text.slice(0, 200)]).toEqual([200, text.slice(0, 200)]);
  const [, ...lines] = text.trimEnd().split('\n');
  return lines.map((line) => {
    const [, time, ...cells] = line.split(',');
    return [Number(time) - start, ...cells.map((cell) => (cell === '' ? null : Number(cell)))];
  });
}

describe('fill=previous', () => {
  test('instruments 33 µs apart stand in one row', async () => {
    const dataId = await streamOf({
      a: [0, 1, 2, 3].map((t): Point => [t, t]),
      b: [0, 1, 2, 3].map((t): Point => [t + 33e-6, t * 10]),
    });
    expect(await rowsOf(dataId, 'every=1s')).toEqual([
      [0, 0, null],
      [1, 1, 0],
      [2, 2, 10],
      [3, 3, 20],
      [4, 3, 30],
    ]);
    expect(await rowsOf(dataId, '')).toHaveLength(8);
  });

  test('a reading is carried no farther than twice every, or max_age; gaps are empty rows', async () => {
    const dataId = await streamOf({
      a: [
        [0.5, 1],
        [10.5, 2],
      ],
    });
    const carried = (seconds: number) =>
      Array.from({ length: 11 }, (_, i) => {
        const [time, age] = [i + 1, i + 0.5];
        if (time === 11) return [time, seconds < 0.5 ? null : 2];
        return [time, age <= seconds ? 1 : null];
      });
    expect(await rowsOf(dataId, 'every=1s')).toEqual(carried(2));
    expect(await rowsOf(dataId, 'every=1s&fill=previous&max_age=5s')).toEqual(carried(5));
    expect(await rowsOf(dataId, 'every=1s&max_age=1d')).toEqual(carried(86_400));
    expect(await rowsOf(dataId, 'every=1s&max_age=250ms')).toEqual(carried(0.25));
  });

  test('an absent reading ends what was before it', async () => {
    const dataId = await streamOf({
      a: [
        [0, 1],
        [1, null],
        [3, 2],
      ],
    });
    expect(await rowsOf(dataId, 'every=500ms&max_age=1h')).toEqual([
      [0, 1],
      [0.5, 1],
      ...[1, 1.5, 2, 2.5].map((t) => [t, null]),
      [3, 2],
    ]);
  });
});

describe('fill=mean', () => {
  test('is of the readings from the row on until the next; absent ones do not count, gaps are empty', async () => {
    const dataId = await streamOf({
      a: [
        [0.2, 1],
        [0.4, 2],
        [0.9, 6],
        [1, 10],
        [1.5, null],
        [4.999, -0],
      ],
      b: [[1.999, 7]],
    });
    expect(await rowsOf(dataId, 'every=1s&fill=mean')).toEqual([
      [0, 3, null],
      [1, 10, 7],
      [2, null, null],
      [3, null, null],
      [4, -0, null],
    ]);
  });

  test('loses nothing to rounding, nor to a sum beyond float64', async () => {
    const max = Number.MAX_VALUE;
    const dataId = await streamOf({
      big: [0.1, 0.2, 0.3, 0.4].map((t): Point => [t, max]),
      small: [0.1, 0.2, 0.3].map((t, i): Point => [t, [1e100, 3, -1e100][i] as number]),
    });
    expect(await rowsOf(dataId, 'every=1s&fill=mean')).toEqual([[0, max, 1]]);
  });
});

describe('a window', () => {
  let dataId: string;
  beforeAll(async () => {
    const at = (i: number) => i * 0.37 + (i % 3) * 0.01;
    dataId = await streamOf({
      a: Array.from({ length: 60 }, (_, i): Point => [at(i), i]),
      b: Array.from({ length: 20 }, (_, i): Point => [at(i) * 2.5, i === 7 ? null : -i]),
    });
  });

  test.each(['', 'every=1s', 'every=250ms&max_age=4s', 'every=2s&fill=mean', 'every=700ms&fill=mean'])(
    'chooses rows; each is what it is without one: %s',
    async (query) => {
      const all = await rowsOf(dataId, query);
      expect(all.length).toBeGreaterThan(10);
      for (const [from, to] of [
        [3, 9],
        [3.3, 9.9],
        [-100, 5],
        [20, 1_000],
        [7, 7],
      ] as const) {
        const window = `start=${start + from}&end=${start + to}`;
        const inside = all.filter(([time]) => (time as number) >= from && (time as number) <= to);
        expect(await rowsOf(dataId, `${query}&${window}`), window).toEqual(inside);
      }
      expect(await rowsOf(dataId, `${query}&start=${start + 5_000}`)).toEqual([]);
    },
  );
});

describe('carry_in adds the last point of each channel before start', () => {
  const pressure = Array.from({ length: 40 }, (_, i): Point => [i, i / 10]);
  // Logged on change; two at times of pressure.
  const shutter: Point[] = [
    [2.5, 0],
    [11, 1],
    [30, 0],
  ];
  const valve: Point[] = [
    [4, 7],
    [11, null],
  ];
  let dataId: string;
  beforeAll(async () => {
    dataId = await streamOf({ pressure, shutter, valve, late: [[35, 9]] });
  });
  const names = ['late', 'pressure', 'shutter', 'valve'];
  const channels = [[[35, 9]], pressure, shutter, valve] as Point[][];

  /** Rows of the window, and before them those of the last points before it. */
  function expected(from: number, to: number, wanted = names) {
    const rows = new Map<number, (number | null)[]>();
    for (const [i, name] of wanted.entries()) {
      const points = channels[names.indexOf(name)] as Point[];
      const carried = points.filter(([time]) => time < from).slice(-1);
      for (const [time, value] of [...carried, ...points.filter(([t]) => t >= from && t <= to)]) {
        const cells = rows.get(time) ?? wanted.map(() => null);
        cells[i] = value;
        rows.set(time, cells);
      }
    }
    return [...rows].sort(([a], [b]) => a - b).map(([time, cells]) => [time, ...cells]);
  }

  test.each([
    [20, 25],
    [11, 12],
    [2.7, 3],
    [31.5, 31.6],
    [-5, 1],
    [100, 200],
  ])('from %s s to %s s', async (from, to) => {
    const window = `start=${start + from}&end=${start + to}`;
    expect(await rowsOf(dataId, `${window}&carry_in=true`)).toEqual(expected(from, to));
    const inside = expected(from, to).filter(([time]) => (time as number) >= from);
    expect(await rowsOf(dataId, `${window}&carry_in=false`)).toEqual(inside);
    const some = await rowsOf(dataId, `${window}&carry_in=true&channel_names=shutter&channel_names=pressure`);
    expect(some).toEqual(expected(from, to, ['pressure', 'shutter']));
  });

  test('of each of several streams by itself, without an end, and in every format', async () => {
    const other = await streamOf({ shutter: [[1, 5]] });
    const query = `layout=wide&start=${start + 38}&carry_in=true`;
    const { text } = await server.get(`/exports?data_ids=${dataId}&data_ids=${other}&${query}`);
    const [, ...lines] = text.trimEnd().split('\n');
    expect(lines.filter((line) => line.startsWith(dataId))).toHaveLength(expected(38, 100).length);
    expect(lines.at(-1)).toBe(`${other},2023-11-14T22:13:21.000000Z,1700000001.0,,,5.0,`);
    const { status, text: parquet } = await server.get(`/exports/${dataId}?format=parquet&${query}`);
    expect(status).toBe(200);
    expect(parquet).toContain(`"window":{"start":${start + 38},"end":null,"carry_in":true}`);
  });

  test('rows of a workbook are counted with them', async () => {
    const rows = expected(20, 25).length;
    const path = `/exports/${dataId}?layout=wide&format=xlsx&start=${start + 20}&end=${start + 25}&carry_in=true`;
    for (const [sheetRowsMax, status] of [
      [rows + 1, 200],
      [rows, 422],
    ] as const) {
      const small = await joinTestServer(server, {}, undefined, { exports: { sheetRowsMax } });
      try {
        expect((await small.get(path)).status).toBe(status);
      } finally {
        await small.close();
      }
    }
  });

  test('is in the metadata where it was given', async () => {
    const windowOf = async (query: string) =>
      (await server.get(`/exports/${dataId}/metadata?layout=wide&start=${start}${query}`)).json.window;
    expect(await windowOf('&carry_in=true')).toEqual({ start, end: null, carry_in: true });
    expect(await windowOf('&carry_in=false')).toEqual({ start, end: null });
  });
});

test('rows of several streams have the same times, and a stream without points has none', async () => {
  const ids = [await streamOf({ a: [[0.3, 1]] }), await streamOf({}), await streamOf({ b: [[0.7, 2]] })];
  const { text } = await server.get(`/exports?${ids.map((id) => `data_ids=${id}`).join('&')}&layout=wide&every=1s`);
  const [header, ...rows] = text.trimEnd().split('\n');
  expect(header).toBe('data_id,time,timestamp,a,b');
  expect(rows).toEqual([
    `${ids[0]},2023-11-14T22:13:21.000000Z,1700000001.0,1.0,`,
    `${ids[2]},2023-11-14T22:13:21.000000Z,1700000001.0,,2.0`,
  ]);
});

test('the metadata and the name of the file say what the rows are', async () => {
  const dataId = await streamOf({ a: [[0, 1]] });
  const metadata = async (query: string) => (await server.get(`/exports/${dataId}/metadata?layout=wide&${query}`)).json;
  expect((await metadata('every=1s')).grid).toEqual({ every_seconds: 1, fill: 'previous', max_age_seconds: 2 });
  const meant = await metadata(`every=5m&fill=mean&start=${start}.5`);
  expect(meant.grid).toEqual({ every_seconds: 300, fill: 'mean' });
  expect(meant.window).toEqual({ start: start + 0.5, end: null });
  expect(await metadata('')).not.toHaveProperty('grid');
  expect(await metadata('')).not.toHaveProperty('window');
  const { headers } = await server.get(`/exports/${dataId}?layout=wide&every=500ms&fill=mean`);
  expect(headers['content-disposition']).toContain('-wide-mean-every-0.5s.csv');
  expect(headers.link).toContain('every=500ms&fill=mean');
  const parquet = await server.get(`/exports/${dataId}?layout=wide&every=1s&format=parquet`);
  expect(parquet.text).toContain('"every_seconds":1,"fill":"previous","max_age_seconds":2');
});

test.each([
  ['every=1s', 'every', 'layout=wide'],
  ['layout=wide&every=0s', 'every', '250ms, 1s'],
  ['layout=wide&every=-1s', 'every', '250ms, 1s'],
  ['layout=wide&every=1', 'every', '250ms, 1s'],
  ['layout=wide&every=1s&max_age=soon', 'max_age', '250ms, 1s'],
  ['layout=wide&every=1s&fill=linear', 'fill', 'allowed'],
  ['layout=wide&fill=mean', 'fill', 'give every too'],
  ['layout=wide&max_age=1s', 'max_age', 'give every too'],
  ['layout=wide&every=1s&fill=mean&max_age=1s', 'max_age', 'fill=previous'],
  ['start=2026-01-31', 'start', 'wide layout'],
  ['layout=wide&start=2026-02-01&end=2026-01-31', 'start', 'after end'],
  ['layout=wide&end=soon', 'end', 'date-time'],
  ['carry_in=true', 'carry_in', 'wide layout'],
  ['layout=wide&carry_in=true', 'carry_in', 'give start too'],
  ['layout=wide&carry_in=true&end=2026-01-31', 'carry_in', 'give start too'],
  ['layout=wide&carry_in=true&start=2026-01-31&every=1s', 'carry_in', 'max_age'],
  ['layout=wide&carry_in=maybe&start=2026-01-31', 'carry_in', 'boolean'],
])('%s is refused at %s', async (query, name, words) => {
  const dataId = await streamOf({ a: [[0, 1]] });
  for (const path of [`/exports/${dataId}`, `/exports/${dataId}/metadata`]) {
    const { status, json } = await server.get(`${path}?${query}`);
    expect([status, json.detail[0].loc]).toEqual([422, ['query', name]]);
    expect(json.detail[0].msg).toContain(words);
  }
});

test('gridRowsMax bounds the rows, gaps included: one wrong timestamp is 422 that says the way round', async () => {
  const dataId = await streamOf({
    a: [
      [-start, 1],
      [0, 2],
      [3, 3],
    ],
  });
  const { status, json } = await server.get(`/exports/${dataId}?layout=wide&every=1s`);
  expect([status, json.detail[0].loc]).toEqual([422, ['query', 'every']]);
  expect(json.detail[0].msg).toMatch(/is 1700000004 rows, and at most 10000000 are possible \(gridRowsMax\).*start/);
  expect(await rowsOf(dataId, `every=1s&start=${start}`)).toHaveLength(4);
  const small = await joinTestServer(server, {}, undefined, { exports: { gridRowsMax: 3 } });
  const path = `/exports/${dataId}?layout=wide&every=1s&start=${start}`;
  expect((await small.get(path)).status).toBe(422);
  expect((await small.get(`${path}&end=${start + 2}`)).status).toBe(200);
  await small.close();
});

test('a long grid is rows in order, each once, across batches and pieces', async () => {
  const dataId = await openStream(server, 1_000);
  await fillChannel(server, dataId, 'a', { chunks: 20, points: 1_000 });
  const rows = await rowsOf(dataId, 'every=5ms&max_age=7ms');
  expect(rows).toHaveLength(39_999);
  const isEven = ([time, value]: (number | null)[], i: number) =>
    Math.abs((time as number) - i * 0.005) < 1e-6 && value !== null;
  expect(rows.findIndex((row, i) => !isEven(row, i))).toBe(-1);
});
