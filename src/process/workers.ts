import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { type Config, limits } from '../config.ts';
import { answerMetrics } from '../http/cluster-metrics.ts';
import { endpointOf, type Front } from './listen.ts';

/**
 * Serves requests from WORKERS processes on one port. Each has its own connections and its own batcher, and finds the
 * others only in the database, as servers on other machines do; a worker that dies is started again.
 * @throws when the first worker cannot start
 */
export async function startWorkers(config: Config, connectionString: string, log: Logger): Promise<Front> {
  const environment = {
    DATABASE_URL: connectionString,
    DATABASE_POOL_MAX: String(Math.max(2, Math.floor(config.DATABASE_POOL_MAX / config.WORKERS))),
    WORKERS: '1',
  };
  // The workers accept connections themselves. Handed out by this process, one that is under way to a worker that dies
  // would be answered by nobody, and its client would wait for ever.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  let stopping = false;
  cluster.on('exit', (worker, code, signal) => {
    if (stopping) return;
    log.error({ pid: worker.process.pid, code, signal }, 'a worker has ended; starting another one');
    setTimeout(() => stopping || fork(environment), limits.workerRestartMs);
  });
  answerMetrics();
  const first = fork(environment);
  const { port } = await listening(first);
  const others = Array.from({ length: config.WORKERS - 1 }, () => fork(environment));
  await Promise.all(others.map(listening));
  return {
    endpoint: endpointOf(config.HOST, port),
    async close() {
      stopping = true;
      await Promise.all(Object.values(cluster.workers ?? {}).map((worker) => end(worker as Worker)));
    },
  };
}

function fork(environment: Record<string, string>): Worker {
  return cluster.fork(environment);
}

/** @throws when the worker ends instead: it has said why */
async function listening(worker: Worker): Promise<AddressInfo> {
  const ended = once(worker, 'exit').then(() => {
    throw new Error('A worker could not start; its reason stands above.');
  });
  const [address] = (await Promise.race([once(worker, 'listening'), ended])) as [AddressInfo];
  return address;
}

async function end(worker: Worker): Promise<void> {
  if (worker.isDead()) return;
  const ended = once(worker, 'exit');
  const giveUp = setTimeout(() => worker.process.kill('SIGKILL'), limits.shutdownMsMax + limits.workerRestartMs);
  worker.process.kill('SIGTERM');
  await ended;
  clearTimeout(giveUp);
}
