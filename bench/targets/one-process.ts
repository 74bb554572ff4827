import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { buildApp } from '../../src/app.ts';
import { provideKey } from '../../src/auth/keys.ts';
import { readConfig } from '../../src/config.ts';
import { processLimits } from '../../src/process/limits.ts';
import { openStore } from '../../src/process/open-database.ts';

/*
 * This server in one process, in one of three forms: it packs series, it stores them as they were sent, or it packs them
 * but neither makes overviews nor reads with them. The benches compare these forms.
 */
const [, , form] = process.argv;
const config = readConfig(process.env);
const log = pino({ level: config.LOG_LEVEL }, pino.destination(2));
const store = await openStore(config, log, { mayJoin: false });
await provideKey(store.database, config, false);
await store.database.readiness.look();
if (form !== 'as-sent' && !store.database.readiness.packs()) throw new Error('packing has not begun');
const readiness = form !== 'as-sent' ? store.database.readiness : { ...store.database.readiness, packs: () => false };

const withoutOverviews = {
  overviews: { waitingMax: 0 },
  // The largest integer of PostgreSQL.
  points: { overviewChunksMin: Number.POSITIVE_INFINITY, looseChunksMax: 2 ** 31 - 2 },
};
const limits = form === 'without-overviews' ? withoutOverviews : {};
const app = await buildApp({ config, database: { ...store.database, readiness }, log, limits });
await app.listen({ host: config.HOST, port: config.PORT, backlog: processLimits.listenBacklog });
process.on('SIGTERM', async () => {
  app.server.closeAllConnections();
  await app.close();
  await store.close();
});
process.stdout.write(`listening on ${(app.server.address() as AddressInfo).port}\n`);
