/**
 * Exports opened by the tools that people use, the newest releases from PyPI in an environment of their own, and compared
 * bit for bit; the Python of docs/reading.md.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectFolder } from '../sdk/support/places.ts';
import { runToEnd } from '../sdk/support/run-to-end.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openStream, storeChunk } from '../timeseries/support/storing.ts';

const packages = ['pandas', 'pyarrow', 'duckdb', 'polars'] as const;
const environment = join(projectFolder, 'node_modules/.cache/exports-venv');
const python = join(environment, 'bin/python');
const scripts = join(import.meta.dirname, 'support');

let server: TestServer;
let address: string;
let folder: string;
let dataId: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'metrology-exports-'));
  await runToEnd(process.env.PYTHON ?? 'python3', ['-m', 'venv', environment], { msMax: 120_000 });
  const pip = ['-m', 'pip', 'install', '--no-input', '--disable-pip-version-check', '--upgrade'];
  await runToEnd(python, [...pip, ...packages, 'openpyxl'], { msMax: 540_000 });
  server = await startTestServer();
  address = await server.app.listen({ host: '127.0.0.1', port: 0 });
  dataId = await openStream(server, 4);
  for (const { name, units, chunks } of channels) {
    for (const [index, { timestamps, values }] of chunks) {
      await storeChunk(server, dataId, name, { chunk_index: index, timestamps, values }, units);
    }
  }
});
afterAll(async () => {
  await server?.close();
  await rm(folder, { recursive: true, force: true });
});

const start = 1_700_000_000;
interface Readings {
  timestamps: (number | null)[];
  values: (number | null)[];
}
interface Channel {
  name: string;
  units?: string;
  chunks: [number, Readings][];
}

/** Doubles that a text round trip, a float32 or a careless printer would change. */
const awkward = [
  ...[0.1 + 0.2, 1 / 3, -0, 0, 25, 1e-9, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308],
  ...[-1.7976931348623157e308, Math.PI, 1 + Number.EPSILON, 9007199254740992, 1e21, 123456789.12345679, -273.15],
];
const random = Array.from({ length: 300 }, (_, i) => Math.sin(i * 1.1) * 10 ** ((i % 41) - 20));

// In the order of the bytes of their names.
const channels: Channel[] = [
  {
    name: '=1+1, "quoted"',
    units: '°C',
    // Out of order, a time between two microseconds, a reading and a time that are absent, a time that no calendar has.
    chunks: [
      [0, { timestamps: [start + 3, start + 0.123_456_7, null, 1e300], values: [1.5, null, 2.5, -0] }],
      [7, { timestamps: [start + 1 / 3], values: [5e-324] }],
    ],
  },
  {
    name: 'thickness',
    units: 'nm',
    chunks: [
      [0, { timestamps: awkward.map((_, i) => start + i), values: awkward }],
      [1, { timestamps: random.map((_, i) => start + 100 + i * 0.1), values: random }],
    ],
  },
  { name: 'µ\nsecond line', chunks: [[0, { timestamps: [0, 0.01, -1.5], values: [1, 2, 3] }]] },
];

type Cell = string | number | null;
interface Column {
  name: string;
  type: string;
  cells: Cell[];
}

const bits = (value: number | null): Cell => {
  if (value === null) return null;
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes.toString('hex');
};
const micros = (time: number | null): Cell => {
  if (time === null || Math.abs(time) > 1e11) return null;
  const whole = Math.floor(time);
  return whole * 1e6 + Math.round((time - whole) * 1e6);
};

const points = channels.flatMap(({ name, units = null, chunks }) =>
  chunks.flatMap(([index, { timestamps, values }]) =>
    timestamps.map((time, i) => ({
      name,
      units,
      index,
      offset: index * 4 + i,
      time,
      value: values[i] as number | null,
    })),
  ),
);

const long: Column[] = [
  { name: 'channel_name', type: 'text', cells: points.map((point) => point.name) },
  { name: 'chunk_index', type: 'integer', cells: points.map((point) => String(point.index)) },
  { name: 'point_offset', type: 'integer', cells: points.map((point) => String(point.offset)) },
  { name: 'timestamp', type: 'float64', cells: points.map((point) => bits(point.time)) },
  { name: 'time', type: 'time', cells: points.map((point) => micros(point.time)) },
  { name: 'value', type: 'float64', cells: points.map((point) => bits(point.value)) },
  { name: 'units', type: 'text', cells: points.map((point) => point.units) },
];

const timed = points.filter(({ time }) => time !== null && time < 1e15) as ((typeof points)[number] & {
  time: number;
})[];
const times = [...new Set(timed.map(({ time }) => time))].sort((a, b) => a - b);
const wide: Column[] = [
  { name: 'time', type: 'time', cells: times.map(micros) },
  { name: 'timestamp', type: 'float64', cells: times.map(bits) },
  ...channels.map(({ name }) => {
    const byTime = new Map(timed.filter((point) => point.name === name).map(({ time, value }) => [time, value]));
    return { name, type: 'float64', cells: times.map((time) => bits(byTime.get(time) ?? null)) };
  }),
];

async function download(query: string, name: string): Promise<string> {
  const answer = await fetch(`${address}/exports/${query}`, { headers: { 'x-api-key': server.keys.ada } });
  expect(answer.status).toBe(200);
  const path = join(folder, name);
  await writeFile(path, Buffer.from(await answer.arrayBuffer()));
  return path;
}

describe.each(['csv', 'parquet'])('%s', (format) => {
  describe.each([
    ['long', long],
    ['wide', wide],
  ] as const)('%s', (layout, expected) => {
    test.each(packages)('%s reads every bit', async (tool) => {
      const path = await download(`${dataId}?format=${format}&layout=${layout}`, `${layout}-${tool}.${format}`);
      const said = await runToEnd(python, [join(scripts, 'read_file.py'), tool, path], { msMax: 60_000 });
      // Polars leaves a quote that a header doubles doubled.
      const isDoubled = tool === 'polars' && format === 'csv';
      const nameOf = (name: string) => (isDoubled ? name.replaceAll('"', '""') : name);
      expect(JSON.parse(said)).toEqual(expected.map((column) => ({ ...column, name: nameOf(column.name) })));
    });
  });
});

describe.each([
  ['long', long],
  ['wide', wide],
] as const)('xlsx, %s', (layout, expected) => {
  test('openpyxl and pandas read every number and date, and no formula', async () => {
    const path = await download(`${dataId}?format=xlsx&layout=${layout}`, `${layout}.xlsx`);
    const said = await runToEnd(python, [join(scripts, 'read_xlsx.py'), path], { msMax: 60_000 });
    const { openpyxl, pandas, types } = JSON.parse(said);
    const meant = expected.map(({ name, type, cells }) => ({
      name: { time: 'time [UTC]', timestamp: 'timestamp [s]' }[name] ?? name,
      cells: cells.map((cell) => asInSheet(type, cell)),
    }));
    expect(openpyxl).toEqual(meant);
    expect(pandas).toEqual(meant);
    expect(types['time [UTC]']).toMatch(/^datetime64/);
    expect(types['timestamp [s]']).toMatch(/^(float|int)64$/);
  });
});

/** Spreadsheets know no −0; openpyxl rounds dates to milliseconds. */
function asInSheet(type: string, cell: Cell): unknown {
  if (cell === null || type === 'text') return cell;
  if (type === 'time') return { ms: Math.round(Number(cell) / 1_000) };
  return type === 'integer' ? bits(Number(cell)) : cell === bits(-0) ? bits(0) : cell;
}

test('verify_certificate.py reads Parquet in the long layout, and says why it cannot read a wide one', async () => {
  const certificate = join(folder, 'certificate.json');
  await writeFile(certificate, (await server.get(`/metrology/stream/${dataId}/certificate`)).text);
  for (const query of [`${dataId}?format=parquet`, `?data_ids=${dataId}&format=parquet`]) {
    const args = [join(projectFolder, 'tools/verify_certificate.py'), certificate];
    const said = await runToEnd(python, [...args, await download(query, 'long.parquet')], { msMax: 60_000 });
    expect(said).toContain('as certified, root ');
    const wide = await download(`${query}&layout=wide`, 'wide.parquet');
    await expect(runToEnd(python, [...args, wide], { msMax: 60_000 })).rejects.toThrow(
      /wide\.parquet is an export in the wide layout, .* Export the stream with layout=long\./,
    );
  }
});

test('a file without rows has its columns in every tool', async () => {
  const empty = await openStream(server, 4);
  for (const format of ['csv', 'parquet']) {
    const path = await download(`${empty}?format=${format}&layout=wide`, `empty.${format}`);
    for (const tool of packages) {
      const said = await runToEnd(python, [join(scripts, 'read_file.py'), tool, path], { msMax: 60_000 });
      const names = (JSON.parse(said) as Column[]).map(({ name, cells }) => [name, cells.length]);
      expect(names, `${tool}, ${format}`).toEqual([
        ['time', 0],
        ['timestamp', 0],
      ]);
    }
  }
});

test('the metadata is found by pyarrow, pandas and DuckDB', async () => {
  const path = await download(`${dataId}?format=parquet&layout=wide`, 'metadata.parquet');
  const found = JSON.parse(await runToEnd(python, [join(scripts, 'read_metadata.py'), path], { msMax: 60_000 }));
  const { json } = await server.get(`/exports/${dataId}/metadata?layout=wide`);
  const { exported_at, ...metadata } = found.pyarrow;
  expect({ ...metadata, exported_at: json.exported_at }).toEqual(json);
  expect(found.pandas).toEqual(found.pyarrow);
  expect(found.duckdb.thickness).toEqual({ channel_name: 'thickness', units: 'nm' });
  expect(found.types).toMatchObject({ time: 'timestamp[us, tz=UTC]', timestamp: 'double', thickness: 'double' });
  expect(found.created_by).toMatch(/^metrology-server version /);
});

test('several streams in one file', async () => {
  const other = await openStream(server, 4);
  await storeChunk(server, other, 'thickness', { chunk_index: 0, timestamps: [start], values: [1] }, 'nm');
  const path = await download(`?data_ids=${dataId}&data_ids=${other}&format=parquet`, 'several.parquet');
  const said = await runToEnd(python, [join(scripts, 'read_file.py'), 'duckdb', path], { msMax: 60_000 });
  const [ids] = JSON.parse(said) as Column[];
  expect(ids).toEqual({ name: 'data_id', type: 'text', cells: [...points.map(() => dataId), other] });
});

test('the Python of docs/reading.md runs as it stands', async () => {
  const page = await readFile(join(projectFolder, 'docs/reading.md'), 'utf8');
  const section = page.slice(page.indexOf('## Exports'));
  const block = /```python\n(.*?)```/s.exec(section)?.[1];
  const env = { ...process.env, AS_API_ENDPOINT: address, AS_API_KEY: server.keys.ada, DATA_ID: dataId };
  const said = await runToEnd(python, ['-c', block as string], { msMax: 60_000, cwd: folder, env });
  expect(said).toContain('thickness');
  expect(said).toContain('a run');
});
