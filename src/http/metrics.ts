import { isIP } from 'node:net';
import { Type } from '@sinclair/typebox';
import type { FastifyRequest } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Database } from '../database/database.ts';
import type { Disk, Room } from '../database/disk.ts';
import { packageCommit, packageVersion } from '../lib/package-info.ts';
import type { App } from './app-type.ts';
import { authenticate, type Credentials, requireScope } from './auth.ts';
import { chunkMetrics } from './chunk-metrics.ts';
import type { MetricsOfAll } from './cluster-metrics.ts';
import { ErrorAnswer } from './schemas.ts';

const durationBucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Two pools keep the names that earlier releases gave them in metrics. */
const earlierNames: Record<string, string> = { upkeep: 'service', readiness: 'standing' };

/** All metrics of the server. Each app has a set of its own, because tests run several apps in one process. */
export function createMetrics(database: Database) {
  const registry = new Registry();
  const registers = [registry];
  const { pools } = database;
  collectDefaultMetrics({ register: registry });
  dropSums(registry);
  new Gauge({
    name: 'metrology_build_info',
    help: 'Always 1; the labels say which release serves, and of which commit it was built',
    labelNames: ['version', 'commit'],
    registers,
    // The value stays 1 for several processes of the same build.
    aggregator: 'first',
    collect() {
      this.set({ version: packageVersion, commit: packageCommit }, 1);
    },
  });
  new Gauge({
    name: 'metrology_database_connections',
    help: 'Connections by pool and state; general is for what routes read and edit',
    labelNames: ['pool', 'state'],
    registers,
    collect() {
      for (const [name, { totalCount, idleCount, waitingCount }] of Object.entries(pools)) {
        const pool = earlierNames[name] ?? name;
        this.set({ pool, state: 'busy' }, totalCount - idleCount);
        this.set({ pool, state: 'idle' }, idleCount);
        this.set({ pool, state: 'awaited' }, waitingCount);
      }
    },
  });
  watchDisk(registers, database.disk);
  return {
    registry,
    ...watches(registers),
    ...chunkMetrics(registers),
    requestSeconds: new Histogram({
      name: 'metrology_http_request_duration_seconds',
      help: 'Time from the first byte of a request to the end of its answer',
      labelNames: ['method', 'route', 'status'],
      buckets: durationBucketsSeconds,
      registers,
    }),
    unknownNames: new Counter({
      name: 'metrology_unknown_names_total',
      help: 'Parameters and fields that a route does not know, by whether they were ignored or the request refused for them',
      labelNames: ['route', 'place', 'outcome'],
      registers,
    }),
    roundedNumbers: new Counter({
      name: 'metrology_rounded_numbers_total',
      help: 'Integers beyond 2^53 that were stored as the float64 next to them',
      registers,
    }),
    implausibleTimes: new Counter({
      name: 'metrology_implausible_times_total',
      help: 'Timestamps of chunks that are no plausible Unix seconds, by the unit in which the first of a request is plausible',
      labelNames: ['looks_like'],
      registers,
    }),
  };
}
export type Metrics = ReturnType<typeof createMetrics>;

/** Functions that register a metric whose value is read from elsewhere, each time that metrics are collected. */
function watches(registers: Registry[]) {
  return {
    /** Registers a gauge. @param aggregator how the values of several processes of one server are combined */
    watch(name: string, help: string, read: () => number, aggregator: 'sum' | 'min' = 'sum') {
      new Gauge({
        name,
        help,
        registers,
        aggregator,
        collect() {
          this.set(read());
        },
      });
    },
    /**
     * Registers a gauge whose value needs a query. While it is undefined the metric is not shown.
     * @param read must not reject, nor take longer than /metrics may; every process calls it
     */
    watchSlow(name: string, help: string, read: () => Promise<number | undefined>, aggregator: 'min' | 'max' = 'max') {
      new Gauge({
        name,
        help,
        registers,
        aggregator,
        async collect() {
          const value = await read();
          if (value === undefined) this.remove();
          else this.set(value);
        },
      });
    },
    /** Registers a counter, for a value that only grows. */
    watchCounter(name: string, help: string, read: () => number) {
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(read());
        },
      });
    },
  };
}

/**
 * Gauges of the database's disk, shown only when it is known. All processes see the same disk, so they are not added
 * up.
 */
function watchDisk(registers: Registry[], disk: Disk): void {
  const shown = (name: string, help: string, bytesOf: (room: Room) => number) =>
    new Gauge({
      ...{ name, help, registers, aggregator: 'min' },
      collect() {
        const room = disk.room();
        if (room === undefined) this.remove();
        else this.set(bytesOf(room));
      },
    });
  shown('metrology_disk_free_bytes', 'Room that is left on the disk of the database', ({ free }) => free);
  shown('metrology_disk_size_bytes', 'Size of the disk of the database', ({ size }) => size);
}

/**
 * Removes the gauges of prom-client whose names end in `_total`, since Prometheus reserves that ending for counters.
 * Each is only the sum of the gauge with the same name without the ending.
 */
function dropSums(registry: Registry): void {
  for (const { name, type } of registry.getMetricsAsArray()) {
    // The library's types wrongly declare `type` as a number.
    if (name.endsWith('_total') && String(type) !== 'counter') registry.removeSingleMetric(name);
  }
}

interface MetricsOptions {
  credentials: Credentials;
  metrics: Metrics;
  /** METRICS_OPEN: requests that come straight from loopback need no key. */
  isOpen: boolean;
  /** Collects the metrics of all processes of this server; without it only those of this process are shown. */
  metricsOfAll?: MetricsOfAll | undefined;
}

/**
 * `/metrics` in the Prometheus text format. It needs a key with the scope admin, since it counts the requests of all
 * organizations. On loopback it is open only with METRICS_OPEN, because all clients of a TCP proxy on the same machine
 * look like local ones.
 */
export function metricsRoutes(app: App, { credentials, metrics, isOpen, metricsOfAll }: MetricsOptions): void {
  metricsOfAll?.share(metrics.registry);
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown';
    metrics.requestSeconds.observe(
      { method: request.method, route, status: reply.statusCode },
      reply.elapsedTime / 1_000,
    );
    done();
  });
  app.get(
    '/metrics',
    {
      config: { open: true },
      schema: {
        tags: ['operation'],
        summary: 'Prometheus metrics, under a key with the scope admin; with METRICS_OPEN none is needed from loopback',
        produces: ['text/plain'],
        response: { 200: Type.String(), 401: ErrorAnswer, 403: ErrorAnswer },
      },
    },
    async (request, reply) => {
      if (!isOpen || !isDirectFromLoopback(request)) requireScope(await authenticate(credentials, request), 'admin');
      return reply
        .type(metrics.registry.contentType)
        .send(await (metricsOfAll?.text(metrics.registry) ?? metrics.registry.metrics()));
    },
  );
}

function isDirectFromLoopback(request: FastifyRequest): boolean {
  const address = request.socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
  const isLoopback = address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
  return isLoopback && request.headers['x-forwarded-for'] === undefined && request.headers.forwarded === undefined;
}
