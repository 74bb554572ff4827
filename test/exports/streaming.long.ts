import { setTimeout as sleep } from 'node:timers/promises';
import { streamXlsxRows } from 'hucre/xlsx';
import { parquetMetadata } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acquiredWhile, beginRead, connectionsWhileWaiting, readOn } from '../support/slow-client.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream } from '../timeseries/support/storing.ts';

let server: TestServer;
let address: string;
let dataId: string;
const points = 800_000;
/** A row of a workbook takes ten times as long as one of CSV. */
const sheetPoints = 100_000;
let sheetId: string;

beforeAll(async () => {
  server = await startTestServer();
  address = await server.app.listen({ host: '127.0.0.1', port: 0 });
  dataId = await filledStream(points / 2_000);
  sheetId = await filledStream(sheetPoints / 2_000);
});
afterAll(() => server.close());

/** Two channels of chunks of 1,000 points. */
async function filledStream(chunks: number): Promise<string> {
  const id = await openStream(server, 1_000);
  await fillChannel(server, id, 'u', { chunks, points: 1_000 });
  await fillChannel(server, id, 'v', { chunks, points: 1_000, stepSeconds: 0.02 });
  return id;
}

const files = ['csv', 'parquet', 'xlsx'].flatMap((format) =>
  ['long', 'wide'].map((layout) => [format, layout] as const),
);
const pathOf = (id: string, format: string, layout: string) => `/exports/${id}?format=${format}&layout=${layout}`;

const begin = (path: string) => beginRead(address, path, server.keys.ada);

describe.each(files)('%s, %s', (format, layout) => {
  const isSheet = format === 'xlsx';
  const idOf = () => (isSheet ? sheetId : dataId);
  test('holds no connection for a client that does not read, and still gives it everything', async () => {
    const answer = await begin(pathOf(idOf(), format, layout));
    expect(await connectionsWhileWaiting(server)).toBe(0);
    const { body, ended } = await readOn(answer);
    expect(ended).toBe(true);
    // Both channels share every second time of the first one, and the other one goes on twice as long.
    const stored = isSheet ? sheetPoints : points;
    const rows = layout === 'long' ? stored : stored * 0.75;
    expect(await rowsOf(format, body)).toBe(rows);
  });

  test('ends the reading when the client goes away', async () => {
    const answer = await begin(pathOf(idOf(), format, layout));
    answer.on('error', () => {});
    await connectionsWhileWaiting(server);
    const acquired = await acquiredWhile(server, async () => {
      answer.destroy();
      await sleep(300);
    });
    expect(acquired).toBeLessThanOrEqual(2);
  });

  test('is cut off by an error after the first byte', async () => {
    const chunks = isSheet ? 100 : 250;
    const own = await filledStream(chunks);
    const answer = await begin(pathOf(own, format, layout));
    expect(answer.statusCode).toBe(200);
    await connectionsWhileWaiting(server);
    await server.owner.pool.query(
      'delete from chunks where data_id = $1::uuid and chunk_index between $2::bigint - 20 and $2::bigint - 10',
      [own, chunks],
    );
    expect((await readOn(answer)).ended).toBe(false);
  });
});

async function rowsOf(format: string, body: Buffer): Promise<number> {
  if (format === 'xlsx') {
    let rows = -1;
    for await (const _ of streamXlsxRows(body)) rows++;
    return rows;
  }
  if (format === 'csv') return body.filter((byte) => byte === 0x0a).length - 1;
  const { num_rows } = parquetMetadata(
    body.buffer.slice(body.byteOffset, body.byteOffset + body.length) as ArrayBuffer,
  );
  return Number(num_rows);
}

test('an error before the first byte is an answer like any other', async () => {
  const own = await filledStream(1);
  const { pool } = server.owner;
  await pool.query('alter table chunks rename column timestamps to hidden');
  try {
    const answer = await server.get(`/exports/${own}`);
    expect(answer.status).toBe(500);
    expect(answer.headers['content-type']).toContain('application/json');
    expect(answer.headers['content-disposition']).toBeUndefined();
  } finally {
    await pool.query('alter table chunks rename column hidden to timestamps');
  }
});
