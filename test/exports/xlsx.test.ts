import { readXlsx } from 'hucre/xlsx';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream, storeChunk } from '../timeseries/support/storing.ts';

/* Workbooks. That openpyxl and pandas read them bit for bit is shown by `npm run test:exports`. */

let server: TestServer;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer();
  dataId = await openStream(server, 10);
  const timestamps = [start, start + 0.25, null, -3e9];
  await storeChunk(
    server,
    dataId,
    '=1+1',
    { chunk_index: 0, timestamps, values: [0.1 + 0.2, null, 5e-324, 1e21] },
    '@a',
  );
  await storeChunk(server, dataId, 'b \u0001<&> "\'', { chunk_index: 0, timestamps: [start], values: [2] }, 'nm');
});
afterAll(() => server?.close());

const start = 1_700_000_000;
const type = 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet';

async function workbook(path: string, { app }: Pick<TestServer, 'app'> = server) {
  const answer = await app.inject({ url: path, headers: { 'x-api-key': server.keys.ada } });
  expect([answer.statusCode, answer.headers['content-type']], answer.payload.slice(0, 300)).toEqual([200, type]);
  const { sheets } = await readXlsx(new Uint8Array(answer.rawPayload));
  expect(sheets).toHaveLength(1);
  return { name: sheets[0]?.name, rows: sheets[0]?.rows ?? [], headers: answer.headers };
}

const at = (seconds: number) => new Date(seconds * 1_000);

test('the wide layout: real dates in UTC, units in the names of times, numbers of 17 digits', async () => {
  const { name, rows, headers } = await workbook(`/exports/${dataId}?format=xlsx&layout=wide&units_in_headers=true`);
  expect(name).toBe('wide');
  expect(headers['content-disposition']).toMatch(/-wide\.xlsx"?$/);
  expect(rows).toEqual([
    ['time [UTC]', 'timestamp [s]', '=1+1 [@a]', 'b \u0001<&> "\' [nm]'],
    [null, -3e9, 1e21, null],
    [at(start), start, 0.1 + 0.2, 2],
    [at(start + 0.25), start + 0.25, null, null],
  ]);
});

test('the long layout: every stored point', async () => {
  const { rows } = await workbook(`/exports/${dataId}?format=xlsx`);
  expect(rows.slice(0, 2)).toEqual([
    ['channel_name', 'chunk_index', 'point_offset', 'timestamp [s]', 'time [UTC]', 'value', 'units'],
    ['=1+1', 0, 0, start, at(start), 0.1 + 0.2, '@a'],
  ]);
  expect(rows).toHaveLength(6);
});

test('rows at even times, several streams, and one without points', async () => {
  const empty = await openStream(server, 2);
  const query = `format=xlsx&layout=wide&every=100ms&start=${start}`;
  const { rows } = await workbook(`/exports?data_ids=${dataId}&data_ids=${empty}&${query}`);
  expect(rows.map(([id, , time]) => [id, time])).toEqual([
    ['data_id', 'timestamp [s]'],
    ...[0, 0.1, 0.2, 0.3].map((t) => [dataId, start + t]),
  ]);
  expect((await workbook(`/exports/${empty}?format=xlsx&layout=wide`)).rows).toEqual([['time [UTC]', 'timestamp [s]']]);
});

test('sheetRowsMax: what does not fit is 422 that says so before anything is sent; points that share a row are one', async () => {
  const small = await joinTestServer(server, {}, undefined, { exports: { sheetRowsMax: 101 } });
  const filled = async (names: string[], points: number) => {
    const id = await openStream(small, points);
    for (const name of names) await fillChannel(server, id, name, { chunks: 1, points });
    return id;
  };
  const [fits, shares, over] = [await filled(['a'], 100), await filled(['a', 'b'], 100), await filled(['a'], 101)];
  const status = async (id: string, query: string) => {
    const answer = await small.get(`/exports/${id}?format=xlsx&${query}`);
    if (answer.status === 422) expect(answer.json.detail[0].msg).toMatch(/at most 101 rows \(sheetRowsMax\).*every/);
    return answer.status;
  };
  expect(await status(fits, '')).toBe(200);
  expect(await status(shares, '')).toBe(422);
  expect(await status(shares, 'layout=wide')).toBe(200);
  for (const layout of ['long', 'wide']) expect(await status(over, `layout=${layout}`)).toBe(422);
  expect(await status(over, `layout=wide&end=${start + 0.5}`)).toBe(200);
  expect(await status(over, 'layout=wide&every=1ms')).toBe(422);
  expect(await status(over, 'layout=wide&every=1s')).toBe(200);
  await small.close();
});

test('is the same bytes each time, so that it can be kept', async () => {
  const id = await openStream(server, 10);
  await storeChunk(server, id, 'a', { chunk_index: 0, timestamps: [start], values: [1] });
  const files = await Promise.all(
    [1, 2].map(() =>
      server.app.inject({ url: `/exports/${id}?format=xlsx`, headers: { 'x-api-key': server.keys.ada } }),
    ),
  );
  expect(files[0]?.statusCode).toBe(200);
  expect(files[0]?.rawPayload.equals(files[1]?.rawPayload as Buffer)).toBe(true);
});
