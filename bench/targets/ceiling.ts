import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { buildApp } from '../../src/app.ts';
import { provideKey } from '../../src/auth/keys.ts';
import { readConfig } from '../../src/config.ts';
import { processLimits } from '../../src/process/limits.ts';
import { openStore } from '../../src/process/open-database.ts';
import type { StreamService } from '../../src/streams/service.ts';

/*
 * How fast HTTP alone can be: the app of this server with its auth, body reader, validation and serialisation, on a real
 * database, but with an ingest that only counts the points.
 */
const config = readConfig(process.env);
const log = pino({ level: config.LOG_LEVEL }, pino.destination(2));
const store = await openStore(config, log, { mayJoin: false });
await provideKey(store.database, config, false);

let points = 0;
const streams: StreamService = {
  initialize: async () => ({ data_id: crypto.randomUUID(), processed_data_id: crypto.randomUUID() }),
  async ingest(_identity, dataId, chunkIndex, arrivals) {
    const receipts = arrivals.map(({ channelName, image }) => {
      points += image.pointCount;
      return { data_id: dataId, channel_name: channelName, chunk_index: chunkIndex, total_points: image.pointCount };
    });
    return { receipts, outcomes: arrivals.map(() => 'created') };
  },
  restore: () => Promise.reject(new Error('nothing is kept')),
  finalize: async (_identity, dataId) => ({ data_id: dataId, processed_data_id: crypto.randomUUID() }),
  close: async () => {},
};

const app = await buildApp({ config, database: store.database, log, streams });
app.get('/points', { config: { open: true } }, async () => ({ points }));
await app.listen({ host: config.HOST, port: config.PORT, backlog: processLimits.listenBacklog });
process.on('SIGTERM', async () => {
  app.server.closeAllConnections();
  await app.close();
  await store.close();
});
process.stdout.write(`listening on ${(app.server.address() as AddressInfo).port}\n`);
