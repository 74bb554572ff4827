import type { Socket } from 'node:net';
import Fastify from 'fastify';
import type { Logger } from 'pino';
import { buildApp, type Remembered } from '../app.ts';
import type { Config } from '../config.ts';
import { type Database, openAsOwner, openDatabase } from '../database/database.ts';
import { createGate } from '../database/gate.ts';
import { ajvOptions } from '../http/ajv-options.ts';
import type { App } from '../http/app-type.ts';
import { answerErrors } from '../http/error-handler.ts';
import { httpLimits } from '../http/limits.ts';
import { createRefusalLog } from '../http/refusal-log.ts';
import { lazyCompilers } from '../http/schema-compilers.ts';
import { sharedSchemas } from '../http/schemas.ts';
import { controlPrefix, isControl, standBefore, watchRequests } from './hooks.ts';
import { type TestingLimits, testingLimits } from './limits.ts';
import { loginRole } from './made-cluster.ts';
import { createTestMode, type NewOrganization, type TestMode } from './mode.ts';
import type { TestPostgres } from './postgres.ts';
import { controlRoutes } from './routes.ts';

export interface ServeOptions {
  config: Config;
  /** 0 chooses a free port. */
  port: number;
  /** Seeds ids, keys and random choices. */
  seed: string;
  limits?: Partial<TestingLimits> | undefined;
  log: Logger;
}

export interface Prepared {
  /** To be called when PostgreSQL accepts connections. When it returns, the server listens on loopback. */
  serve(): Promise<{ app: App; first: NewOrganization }>;
}

/**
 * Builds the server with the test mode. PostgreSQL, which will be at these addresses, may still be starting; until `serve`
 * no connection to it is opened.
 */
export async function prepare(options: ServeOptions, urlOf: TestPostgres['urlOf']): Promise<Prepared> {
  const { config, port, seed, log } = options;
  const limits = { ...testingLimits, ...options.limits };
  const onIdleError = (error: Error) => log.debug({ err: error }, 'lost an idle database connection');
  const gate = createGate();
  const database = notDurable(openDatabase(gate.route, { poolMax: config.DATABASE_POOL_MAX, onIdleError }));
  const owner = openAsOwner(urlOf(), { onIdleError });
  const connections = new Set<Socket>();
  const cutConnections = () => {
    for (const socket of connections) socket.destroy();
  };
  const mode = createTestMode({ seed, database, owner, limits, cutConnections });
  const extend = (app: App, remembered: Remembered) => addTestMode(app, mode, { remembered, connections, limits });
  const app = await buildApp({ config, database, log, now: mode.clock.now, newId: mode.newId, extend });
  await app.ready();
  return {
    async serve() {
      gate.open(urlOf(undefined, loginRole));
      await mode.begin();
      await app.listen({ host: '127.0.0.1', port });
      return { app, first: mode.first() };
    },
  };
}

/**
 * A power cut loses the data of this server. An ordinary server refuses to work on such a database (`/readyz`); here the
 * ready line says it.
 */
function notDurable(database: Database): Database {
  const readiness = {
    ...database.readiness,
    look: async () => undefined,
    refusal: () => undefined,
    watch: () => () => {},
  };
  return { ...database, readiness };
}

interface Parts {
  remembered: Remembered;
  /** Is filled with the connections of test requests, without those of control requests. */
  connections: Set<Socket>;
  limits: TestingLimits;
}

async function addTestMode(app: App, mode: TestMode, { remembered, connections, limits }: Parts): Promise<void> {
  mode.remembered = remembered;
  const bodyBytesMax = limits.journalBytesMax;
  const watch = watchRequests(app, { ...mode, now: mode.clock.now, bodyBytesMax });
  standBefore(app.server, await buildControl(mode, limits), watch);
  const known = new WeakSet<Socket>();
  app.server.prependListener('request', (request) => {
    const { socket } = request;
    if (isControl(request)) connections.delete(socket);
    else connections.add(socket);
    if (known.has(socket)) return;
    known.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
}

/** A separate app, so that no key, bound or fault of the server affects the control routes. */
async function buildControl(mode: TestMode, limits: TestingLimits): Promise<App> {
  const control: App = Fastify({
    exposeHeadRoutes: false,
    ajv: { customOptions: ajvOptions },
    schemaController: { compilersFactory: lazyCompilers() },
  });
  answerErrors(control, createRefusalLog({ limits: { ...httpLimits }, sumUp: () => {} }));
  for (const schema of sharedSchemas) control.addSchema(schema);
  await control.register(async (room) => controlRoutes(room, mode, limits), { prefix: controlPrefix });
  await control.ready();
  return control;
}
