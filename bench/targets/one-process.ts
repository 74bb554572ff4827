import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { buildApp } from '../../src/app.ts';
import { provideKey } from '../../src/auth/keys.ts';
import { readConfig } from '../../src/config.ts';
import { processLimits } from '../../src/process/limits.ts';
import { openStore } from '../../src/process/open-database.ts';

/*
 * This server in one process, which stores series packed, or as they were sent: the two forms that are held against each other.
 */
const [, , form] = process.argv;
const config = readConfig(process.env);
const log = pino({ level: config.LOG_LEVEL }, pino.destination(2));
const store = await openStore(config, log, { mayJoin: false });
await provideKey(store.database, config, false);
await store.database.standing.look();
if (form === 'packed' && !store.database.standing.packs()) throw new Error('packing has not begun');
const standing = form === 'packed' ? store.database.standing : { ...store.database.standing, packs: () => false };

const app = await buildApp({ config, database: { ...store.database, standing }, log });
await app.listen({ host: config.HOST, port: config.PORT, backlog: processLimits.listenBacklog });
process.on('SIGTERM', async () => {
  app.server.closeAllConnections();
  await app.close();
  await store.close();
});
process.stdout.write(`listening on ${(app.server.address() as AddressInfo).port}\n`);
