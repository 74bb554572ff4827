import { afterAll, beforeAll, expect, test } from 'vitest';
import { pagesOf } from '../support/pages-touched.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream } from '../timeseries/support/storing.ts';

const channelCount = 8;
let server: TestServer;
const runs = { short: '', long: '' };
beforeAll(async () => {
  server = await startTestServer();
  for (const [name, chunks] of [
    ['short', 20],
    ['long', 2_000],
  ] as const) {
    runs[name] = await openStream(server, 5);
    for (let k = 0; k < channelCount; k++) await fillChannel(server, runs[name], `channel ${k}`, { chunks, points: 5 });
  }
}, 60_000);
afterAll(() => server?.close());

test.each(['', 'analyze'])('what is newest costs the same, however many chunks a run has (%s)', async (prepare) => {
  if (prepare !== '') await server.owner.pool.query(prepare);
  const [short, long] = [
    await pagesOf(server, `/metrology/${runs.short}/latest`),
    await pagesOf(server, `/metrology/${runs.long}/latest`),
  ];
  // An index of a hundred times the chunks may be a level deeper, for each of the two look-ups of a channel.
  expect(long).toBeLessThanOrEqual(short + 2 * channelCount);
});
