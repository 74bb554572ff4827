import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { type AuditLimits, auditLimits } from './audit/limits.ts';
import { forgetOldEntries } from './audit/old-entries.ts';
import { auditRoutes } from './audit/routes.ts';
import { openIdentities } from './auth/identities.ts';
import { type AuthLimits, authLimits } from './auth/limits.ts';
import { openSessions } from './auth/sessions.ts';
import { watchBackups } from './backups/backup-metrics.ts';
import type { Schedule } from './backups/schedule.ts';
import { dataEntryRoutes } from './catalogue/data-entries/routes.ts';
import { growthInstrumentRoutes } from './catalogue/growth-instruments/routes.ts';
import { type CatalogueLimits, catalogueLimits } from './catalogue/limits.ts';
import { physicalSampleRoutes } from './catalogue/physical-samples/routes.ts';
import { projectRoutes } from './catalogue/projects/routes.ts';
import { runRoutes } from './catalogue/runs/routes.ts';
import { tagRoutes } from './catalogue/tags/routes.ts';
import type { Config } from './config.ts';
import type { Database } from './database/database.ts';
import { createExportCache, type ExportCache } from './exports/cache.ts';
import { type ExportLimits, exportLimits } from './exports/limits.ts';
import { exportRoutes } from './exports/routes.ts';
import type { App } from './http/app-type.ts';
import { type Credentials, isStillAccepted } from './http/auth.ts';
import { clockRoutes } from './http/clock.ts';
import type { MetricsOfAll } from './http/cluster-metrics.ts';
import { docsPageRoutes } from './http/docs-page.ts';
import { healthRoutes } from './http/health.ts';
import { tellUnknownNames } from './http/ignored.ts';
import { keyRoutes, userRoutes } from './http/key-routes.ts';
import { type HttpLimits, httpLimits } from './http/limits.ts';
import { createMetrics, type Metrics, metricsRoutes } from './http/metrics.ts';
import { streamPrefixes } from './http/official-routes.ts';
import { collectOpenapi, openapiRoutes } from './http/openapi.ts';
import { pageRoutes } from './http/page-files.ts';
import { coerceQueries } from './http/query.ts';
import { boundReads } from './http/readings.ts';
import { refuseUnlessReady } from './http/refuse-unready.ts';
import { watchReplica } from './http/replica-reads.ts';
import { sharedSchemas } from './http/schemas.ts';
import { openDoor } from './http/server.ts';
import { sessionRoutes } from './http/session-routes.ts';
import { type LedgerLimits, ledgerLimits } from './ledger/limits.ts';
import { ledgerRoutes } from './ledger/routes.ts';
import { type LiveLimits, liveLimits } from './live/limits.ts';
import { createLive } from './live/live.ts';
import { liveRoutes } from './live/routes.ts';
import { type OverviewLimits, overviewLimits } from './overviews/limits.ts';
import { createOverviews } from './overviews/overviews.ts';
import { type PointLimits, pointLimits } from './points/limits.ts';
import { createChunkReader } from './streams/chunk-reader.ts';
import type { CommittedChunk } from './streams/committed.ts';
import { type StreamLimits, streamLimits } from './streams/limits.ts';
import { forgetOldRevisions } from './streams/old-revisions.ts';
import { streamRoutes } from './streams/routes.ts';
import { streamSchemas } from './streams/schemas.ts';
import { createStreamService, type StreamService } from './streams/service.ts';
import { watchStored } from './streams/stored-metrics.ts';
import { type TimeseriesLimits, timeseriesLimits } from './timeseries/limits.ts';
import { timeseriesRoutes } from './timeseries/routes.ts';

export interface AppDependencies {
  config: Pick<
    Config,
    | 'PUBLIC_URL'
    | 'FINALIZE_GRACE_SECONDS'
    | 'REVISIONS_KEEP_DAYS'
    | 'STREAM_IDLE_SECONDS'
    | 'BODY_LIMIT_BYTES'
    | 'BODIES_LIMIT_BYTES'
    | 'REFERENCE_CLOCK'
    | 'CORS_ORIGINS'
    | 'SESSION_HOURS'
  > &
    Partial<Pick<Config, 'METRICS_OPEN' | 'EXPORT_CACHE_BYTES' | 'EXPORT_CACHE_DIR' | 'AUDIT_KEEP_DAYS'>> &
    Partial<Pick<Config, 'ACCESS_LOG' | 'TRUSTED_PROXIES'>>;
  database: Database;
  log: Logger;
  /** Replaces ingest into this database: the benchmark that measures HTTP alone stores nothing. */
  streams?: StreamService;
  /** The server's clock, in milliseconds of Unix time; `Date.now` by default. */
  now?: () => number;
  /** Makes a new UUID; a random one by default. */
  newId?: () => string;
  /** For the test mode: adds its hooks before the routes are registered, and gets the means to empty the caches. */
  extend?: (app: App, remembered: Remembered) => Promise<void>;
  /** Fetches the metrics of the other processes of this server; without it `/metrics` shows this process alone. */
  metricsOfAll?: MetricsOfAll;
  /** The state of scheduled backups; undefined where none are scheduled. */
  backups?: Pick<Schedule, 'ageSeconds' | 'failureCount'> | undefined;
  limits?: { [Room in keyof RoomLimits]?: Partial<RoomLimits[Room]> | undefined };
}

/** The app's caches of the database, and its periodic work. */
export interface Remembered {
  /** Empties the caches, because the database was changed behind the app. */
  forget(): void;
  /** Does all periodic work now, because the test mode has moved the clock. */
  catchUp(): void;
}

/** The limits of each room. The defaults are those of the room's `limits.ts`; tests replace some by small ones. */
export interface RoomLimits {
  audit: AuditLimits;
  auth: AuthLimits;
  http: HttpLimits;
  catalogue: CatalogueLimits;
  streams: StreamLimits;
  ledger: LedgerLimits;
  points: PointLimits;
  timeseries: TimeseriesLimits;
  exports: ExportLimits;
  live: LiveLimits;
  overviews: OverviewLimits;
}

/** Builds the server, ready for `listen` or `inject`. It does not own the database: closing the app leaves that open. */
export async function buildApp({ config, database, log, ...given }: AppDependencies): Promise<App> {
  const limits = limitsOf(given.limits);
  const metrics = createMetrics(database);
  if (given.backups !== undefined) watchBackups(metrics, given.backups);
  const identities = openIdentities(database, log, limits.auth);
  const sessionSeconds = config.SESSION_HOURS * 3_600;
  const sessions = openSessions(database, log, { sessionSeconds, limits: limits.auth });
  const credentials = { identities, sessions, publicUrl: config.PUBLIC_URL };
  const app = await openDoor({ credentials, metrics, log, config, limits: limits.http });
  app.addHook('onClose', () => sessions.close());
  const remembering: Partial<Remembered>[] = [identities, sessions];
  await given.extend?.(app, {
    forget: () => remembering.forEach((one) => void one.forget?.()),
    catchUp: () => remembering.forEach((one) => void one.catchUp?.()),
  });
  refuseUnlessReady(app, database.readiness, log);
  watchReplica(app, database.replica, log, metrics);
  coerceQueries(app);
  boundReads(app, limits.http, metrics);
  tellUnknownNames(app, { limits: limits.http, metrics });
  await collectOpenapi(app);
  for (const schema of [...sharedSchemas, ...streamSchemas(limits.streams)]) app.addSchema(schema);

  const now = given.now ?? Date.now;
  const graceSeconds = config.FINALIZE_GRACE_SECONDS;
  const idleSeconds = config.STREAM_IDLE_SECONDS;
  const live = openLive(app, { database, credentials, idleSeconds, log, metrics, limits: limits.live });
  const overviews = openOverviews(app, database, log, metrics, limits);
  const stored = watchStored(metrics, { database, idleSeconds, now, limits: limits.streams });
  const streams =
    given.streams ??
    createStreamService({
      database,
      metrics,
      graceSeconds,
      now,
      newId: given.newId,
      limits: limits.streams,
      memberLimits: limits.catalogue,
      listeners: [live.note, overviews.note, stored.note],
      report: (error) => log.error({ err: error }, 'a listener of commits has failed'),
    });
  remembering.push(streams);
  // Runs before Fastify waits for open requests: it answers those that wait for PostgreSQL, or closing would hang.
  app.addHook('preClose', () => streams.close());
  // Runs after that: it settles chunks that were accepted meanwhile, even if their client has gone.
  app.addHook('onClose', () => streams.close().then(() => streams.end?.()));
  const chunks = createChunkReader({ json: limits.http, limits: limits.streams, packs: database.readiness.packs });
  app.addHook('onClose', () => chunks.close());
  remembering.push(...forgetWhatIsOld(app, { config, database, log }, limits));
  // The page sizes of the ledger come last, so that they replace those of http and points.
  const ledger = { ...limits.http, ...limits.points, ...limits.ledger };
  for (const prefix of streamPrefixes) {
    await app.register(async (room) => streamRoutes(room, { streams, chunks, metrics, limits: limits.streams }), {
      prefix,
    });
    await app.register(async (room) => ledgerRoutes(room, { database, limits: ledger }), { prefix });
  }
  await app.register(async (room) => timeseriesRoutes(room, { database, limits, onLacking: overviews.complete }));
  await app.register(async (room) => liveRoutes(room, { ...live, database, idleSeconds, limits: limits.live }));
  const publicUrl = config.PUBLIC_URL;
  const cache = exportCacheOf(config, limits.exports, log);
  const exports = { database, idleSeconds, graceSeconds, publicUrl, now, cache, limits };
  await app.register(async (room) => exportRoutes(room, exports));
  await catalogueRoutes(app, database, idleSeconds, limits);
  await app.register(async (room) => auditRoutes(room, { database, limits: limits.audit }), { prefix: '/audit' });
  healthRoutes(app, database);
  metricsRoutes(app, { credentials, metrics, isOpen: config.METRICS_OPEN === true, metricsOfAll: given.metricsOfAll });
  if (config.REFERENCE_CLOCK) clockRoutes(app, now);
  sessionRoutes(app, { ...credentials, sessionSeconds });
  await peopleRoutes(app, database, limits.auth);
  pagesForPeople(app);
  return app;
}

async function peopleRoutes(app: App, database: Database, limits: AuthLimits): Promise<void> {
  await app.register(async (room) => keyRoutes(room, { database, limits }), { prefix: '/keys' });
  await app.register(async (room) => userRoutes(room, { database, limits }), { prefix: '/users' });
}

function pagesForPeople(app: App): void {
  openapiRoutes(app);
  docsPageRoutes(app);
  pageRoutes(app);
}

/** Starts the periodic removal of old revisions and audit entries. It ends when the app closes. */
function forgetWhatIsOld(app: App, { config, database, log }: AppDependencies, limits: RoomLimits) {
  const { REVISIONS_KEEP_DAYS: days, AUDIT_KEEP_DAYS: entryDays } = config;
  const report = (what: string) => (error: Error) => log.warn({ err: error }, `${what} could not be removed`);
  const ofRevisions = report('old revisions');
  const ofEntries = report('old entries of the audit log');
  const sweepings = [
    days === undefined ? [] : forgetOldRevisions(database, days, ofRevisions, limits.streams),
    entryDays === undefined ? [] : forgetOldEntries(database, entryDays, ofEntries, limits.audit),
  ].flat();
  for (const stop of sweepings) app.addHook('onClose', stop);
  return sweepings;
}

interface LiveParts {
  database: Database;
  credentials: Credentials;
  idleSeconds: number;
  log: Logger;
  metrics: Metrics;
  limits: LiveLimits;
}

function openLive(app: App, { credentials, log, metrics, ...deps }: LiveParts) {
  const live = createLive({
    ...deps,
    report: (error) => log.warn({ err: error }, 'clients that follow runs could not be told of changes'),
  });
  metrics.watch('metrology_live_subscribers', 'Clients that follow runs', live.subscribers.count);
  metrics.watch('metrology_live_runs', 'Runs that are followed', live.feed.runCount);
  metrics.watch('metrology_live_looks', 'Looks for changes of runs that are followed, since the start', live.lookCount);
  app.decorate('endEventStreams', live.close);
  // Closing waits for all answers, and those of event streams never end by themselves.
  app.addHook('preClose', async () => live.close());
  return { ...live, mayGoOn: (request: FastifyRequest) => isStillAccepted(credentials, request) };
}

function openOverviews(app: App, database: Database, log: Logger, metrics: Metrics, limits: RoomLimits) {
  const report = (error: Error) => log.warn({ err: error }, 'an overview could not be made');
  const overviews = createOverviews({ database, limits: { ...limits.streams, ...limits.overviews }, report });
  metrics.watch('metrology_overviews_waiting', 'Blocks of overviews, and channels, that wait to be made', () =>
    overviews.waitingCount(),
  );
  app.addHook('onClose', () => overviews.close());
  app.decorate('overviewsIdle', overviews.idle);
  const note = (chunks: readonly CommittedChunk[]) => {
    // A batch with more channels than the overviews hold in memory would evict its own entries, so it is skipped.
    if (chunks.length > limits.overviews.gatheredChannelsMax) return;
    for (const { item, channelId, image, outcome } of chunks) {
      const { dataId, chunkIndex } = item;
      overviews.note({ dataId, channelId, chunkIndex }, image, outcome === 'replaced');
    }
  };
  return { note, complete: overviews.complete };
}

async function catalogueRoutes(app: App, database: Database, idleSeconds: number, limits: RoomLimits): Promise<void> {
  const entries = { database, idleSeconds, limits: limits.catalogue, removal: limits.streams };
  const catalogue = { database, limits: limits.catalogue };
  await app.register(async (room) => dataEntryRoutes(room, entries), { prefix: '/data_entries' });
  await app.register(async (room) => runRoutes(room, { ...catalogue, idleSeconds }), { prefix: '/runs' });
  await app.register(async (room) => physicalSampleRoutes(room, catalogue), {
    prefix: '/physical_samples',
  });
  await app.register(async (room) => projectRoutes(room, catalogue), { prefix: '/projects' });
  await app.register(async (room) => tagRoutes(room, catalogue), { prefix: '/tags' });
  await app.register(async (room) => growthInstrumentRoutes(room, catalogue), {
    prefix: '/instruments/synthesis',
  });
}

function exportCacheOf(config: AppDependencies['config'], limits: ExportLimits, log: Logger): ExportCache | undefined {
  const { EXPORT_CACHE_BYTES: bytesMax = 0, EXPORT_CACHE_DIR } = config;
  if (bytesMax === 0) return undefined;
  const folder = EXPORT_CACHE_DIR ?? join(tmpdir(), `metrology-server-exports-${process.getuid?.() ?? 0}`);
  return createExportCache({ folder, bytesMax, limits, report: (error) => log.warn({ err: error }, error.message) });
}

/** The limits of every room: its defaults, replaced by those that are given. */
function limitsOf(given: AppDependencies['limits'] = {}): RoomLimits {
  return {
    audit: { ...auditLimits, ...given.audit },
    auth: { ...authLimits, ...given.auth },
    http: { ...httpLimits, ...given.http },
    catalogue: { ...catalogueLimits, ...given.catalogue },
    streams: { ...streamLimits, ...given.streams },
    ledger: { ...ledgerLimits, ...given.ledger },
    points: { ...pointLimits, ...given.points },
    timeseries: { ...timeseriesLimits, ...given.timeseries },
    exports: { ...exportLimits, ...given.exports },
    live: { ...liveLimits, ...given.live },
    overviews: { ...overviewLimits, ...given.overviews },
  };
}
