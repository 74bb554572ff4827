import Fastify, { type FastifyBaseLogger, LogController } from 'fastify';
import type { Logger } from 'pino';
import { type AccessLog, logAnswers } from './access-log.ts';
import { ajvOptions } from './ajv-options.ts';
import type { App } from './app-type.ts';
import { type Credentials, knownOrganization, requireKeys } from './auth.ts';
import { readJsonBodies } from './body.ts';
import { createClientErrors } from './client-errors.ts';
import { createConnections } from './connections.ts';
import { lowerDataIds } from './data-id.ts';
import { connectionsFor } from './descriptors.ts';
import { answerBadUrl, answerErrors } from './error-handler.ts';
import { endBodiesOfHead } from './head-requests.ts';
import type { HttpLimits } from './limits.ts';
import type { Metrics } from './metrics.ts';
import { createQueryParser, refuseLargeQueries } from './query-size.ts';
import { createReadingPace } from './reading-pace.ts';
import { createRefusalLog } from './refusal-log.ts';
import { createRequestIds } from './request-id.ts';
import { setResponseHeaders } from './response-headers.ts';
import { lazyCompilers } from './schema-compilers.ts';

interface DoorOptions {
  credentials: Credentials;
  metrics: Metrics;
  log: Logger;
  /** The settings with these names. */
  config: {
    BODY_LIMIT_BYTES: number;
    BODIES_LIMIT_BYTES: number;
    CORS_ORIGINS?: string;
    ACCESS_LOG?: string;
    TRUSTED_PROXIES?: string;
  };
  limits: HttpLimits;
}

/**
 * Makes the app without routes: connections, headers, bodies, keys, errors and logs, through which every request
 * passes.
 */
export async function openDoor({ credentials, metrics, log, limits: bounds, config }: DoorOptions): Promise<App> {
  const pace = createReadingPace(bounds.unwantedBytesPerTurn);
  const connections = createConnections({
    server: {
      maxHeaderSize: bounds.headerBytesMax,
      keepAliveTimeout: bounds.keepAliveMs,
      // The reader of bodies has shorter limits; this one ends requests whose body no route reads.
      requestTimeout: bounds.headersMsMax + bounds.bodyMsMax + bounds.roomWaitMsMax,
    },
    limits: { ...bounds, connectionsMax: bounds.connectionsMax || connectionsFor(bounds.descriptorsKept) },
    pace,
    organizationOf: (headers) => knownOrganization(credentials, headers),
  });
  const app: App = Fastify({
    loggerInstance: log as FastifyBaseLogger,
    bodyLimit: config.BODY_LIMIT_BYTES,
    // No time-out: on a busy machine a start may take longer than Fastify's 10 s, and it waits for nothing outside this
    // process.
    pluginTimeout: 0,
    serverFactory: (listener) => connections.createServer(listener),
    forceCloseConnections: 'idle',
    // While the server stops, a chunk on an open connection is still stored; its answer closes the connection.
    return503OnClosing: false,
    genReqId: createRequestIds(bounds),
    trustProxy: config.TRUSTED_PROXIES ?? false,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    exposeHeadRoutes: true,
    frameworkErrors: answerBadUrl,
    clientErrorHandler: createClientErrors(bounds, pace),
    routerOptions: {
      ignoreDuplicateSlashes: true,
      ignoreTrailingSlash: true,
      maxParamLength: bounds.headerBytesMax,
      querystringParser: createQueryParser(bounds),
    },
    ajv: { customOptions: ajvOptions },
    schemaController: { compilersFactory: lazyCompilers() },
  });
  await setResponseHeaders(app, config.CORS_ORIGINS);
  endBodiesOfHead(app);
  const refusalLog = createRefusalLog({
    limits: bounds,
    sumUp: (counts, most) => {
      const [answered, refused] = byOutcome(counts);
      log.info({ answered, refused, most }, 'requests that were not logged by themselves, by status');
    },
  });
  app.addHook('onClose', async () => refusalLog.close());
  answerErrors(app, refusalLog);
  logAnswers(app, (config.ACCESS_LOG ?? 'usual') as AccessLog, refusalLog);
  const { BODY_LIMIT_BYTES: bodyLimitBytes, BODIES_LIMIT_BYTES: bodiesLimitBytes } = config;
  readJsonBodies(app, { bodyLimitBytes, bodiesLimitBytes, metrics, limits: bounds, pace });
  requireKeys(app, credentials, connections.keep);
  refuseLargeQueries(app);
  lowerDataIds(app);
  return app;
}

/** Splits counts by status into those of answered and of refused requests; each is undefined when there are none. */
function byOutcome(counts: Record<string, number>): (Record<string, number> | undefined)[] {
  return [false, true].map((isRefused) => {
    const chosen = Object.entries(counts).filter(([status]) => Number(status) >= 400 === isRefused);
    return chosen.length === 0 ? undefined : Object.fromEntries(chosen);
  });
}
