import { afterAll, beforeAll, expect, test } from 'vitest';
import { costOf } from '../support/pages-touched.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream } from '../timeseries/support/storing.ts';

let server: TestServer;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer();
  dataId = await openStream(server, 100);
  await fillChannel(server, dataId, 'v', { chunks: 8_000, points: 100 });
  // Chunks of many channels that are stored together lie between each other: PostgreSQL sorts what it finds.
  await server.owner.pool.query(`
    create temporary table mixed as select * from chunks order by random();
    delete from chunks;
    insert into chunks select * from mixed`);
}, 60_000);
afterAll(() => server?.close());

test.each(['', 'analyze'])('a ledger carries no arrays along: its pages are sorted in memory (%s)', async (prepare) => {
  if (prepare !== '') await server.owner.pool.query(prepare);
  const { temporary } = await costOf(server, `/metrology/stream/${dataId}/chunks?marks=true`);
  expect(temporary).toBe(0);
});
