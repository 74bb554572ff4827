import type { FastifyInstance } from 'fastify';
import { Counter, type Registry } from 'prom-client';
import { type Replica, readOutcomes } from '../database/replica.ts';
import type { ReplicaLog } from '../database/replica-standing.ts';
import type { Metrics } from './metrics.ts';

/** Looks at the replica while the server listens, and shows in metrics where reads go and how far the replica is behind. */
export function watchReplica(
  app: FastifyInstance,
  replica: Replica | undefined,
  log: ReplicaLog,
  metrics: Metrics,
): void {
  if (replica === undefined) return;
  let stop = () => {};
  app.server.once('listening', () => {
    stop = replica.watch(log);
  });
  app.addHook('onClose', async () => stop());
  countReads(metrics.registry, replica);
  const { watch, watchSlow } = metrics;
  const isUsed = () => (replica.warning() === undefined ? 1 : 0);
  watch(
    'metrology_replica_used',
    'Whether reads go to the replica: 1, or 0 while the primary answers them',
    isUsed,
    'min',
  );
  watchSlow(
    'metrology_replica_lag_bytes',
    'Log that the replica had still to replay when it was last looked at',
    async () => replica.lag()?.bytes,
  );
  watchSlow(
    'metrology_replica_lag_seconds',
    'Age of the last transaction that the replica had replayed then; 0 where nothing was missing',
    async () => replica.lag()?.seconds,
  );
}

function countReads(registry: Registry, replica: Replica): void {
  new Counter({
    name: 'metrology_replica_reads_total',
    help: 'Reads by where they went: replica, or why the primary answered; a read that had to change counts twice',
    labelNames: ['outcome'],
    registers: [registry],
    collect() {
      this.reset();
      for (const outcome of readOutcomes) this.inc({ outcome }, replica.counts().get(outcome) ?? 0);
    },
  });
}
