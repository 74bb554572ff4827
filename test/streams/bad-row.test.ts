import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { channelRows, chunkBody, openStream, recountedChannels } from './support/chunks.ts';

/* What the database refuses for a reason that no check before it knows: here a rule that this test adds to its tables. */

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  await server.owner.pool.query(`alter table chunks add check (units <> 'cursed')`);
});
afterAll(() => server.close());

test('a chunk that the database refuses fails alone; all that share its flush are stored', async () => {
  const dataId = await openStream(server);
  const isBad = (i: number) => i === 11 || i === 30;
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      server.post(
        '/tool-state/stream/chunk',
        chunkBody(dataId, i, 'p', [i, i, i], { units: isBad(i) ? 'cursed' : 'nm' }),
      ),
    ),
  );
  expect(answers.map(({ status }) => status)).toEqual(answers.map((_, i) => (isBad(i) ? 500 : 201)));
  expect(await channelRows(server, dataId)).toMatchObject([{ chunk_count: 48, point_count: 144 }]);
  expect(await channelRows(server, dataId)).toEqual(await recountedChannels(server, dataId));
});

test('of a request with one such chunk among good ones nothing is stored', async () => {
  const dataId = await openStream(server);
  const readings = { timestamps: [1], values: [1] };
  const [good, bad] = await Promise.all([
    server.post('/tool-state/stream/chunk', chunkBody(dataId, 1, 'p', [1])),
    server.post('/tool-state/stream/chunk/multi', {
      data_id: dataId,
      chunk_index: 0,
      channels: { p: readings, q: { ...readings, units: 'cursed' } },
    }),
  ]);
  expect([good.status, bad.status]).toEqual([201, 500]);
  expect((await channelRows(server, dataId)).map((row) => row.chunk_count)).toEqual([1, 0]);
});
