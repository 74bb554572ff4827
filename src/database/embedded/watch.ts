import { setTimeout as sleep } from 'node:timers/promises';
import { type Postmaster, type PostmasterOptions, startPostmaster } from './postmaster.ts';
import { clearOldBackends, stopPostmaster } from './processes.ts';
import type { EmbeddedRoom } from './room.ts';

/** Pauses before the first, second, … attempt in a row; the last pause is repeated. */
const PAUSES_MS = [0, 250, 500, 1_000, 2_000, 5_000, 15_000, 60_000];
/** A PostgreSQL that has run this long counts as started successfully. */
const STEADY_MS = 60_000;
/**
 * A PostgreSQL that came up and died earlier counts at most this many failures, so each restart comes within seconds.
 */
const FAILURES_MAX_ONCE_UP = 3;

export interface PostgresWatch {
  /** Stops watching, then stops PostgreSQL. */
  stop(): Promise<void>;
}

/**
 * Restarts PostgreSQL when it dies, on the same port. The first attempt comes at once. If PostgreSQL does not come up,
 * the attempts become rarer, down to one a minute, so that a broken database does not keep the machine busy. An attempt
 * comes at once when a full disk has space again or the reserve has been deleted. Each failure is logged.
 */
export function watchPostmaster(first: Postmaster, options: PostmasterOptions, room: EmbeddedRoom): PostgresWatch {
  const { log, clusterDir, stopWaitMsMax } = options;
  const { diskEveryMs } = options.limits;
  const ending = new AbortController();
  let current = first;
  let failures = 0;

  async function keepAlive(): Promise<void> {
    for (;;) {
      const startedAt = performance.now();
      const how = await current.exited;
      if (ending.signal.aborted) return;
      log.error({ postgres: current.pid, how }, 'PostgreSQL has died; starting it again');
      failures = performance.now() - startedAt > STEADY_MS ? 0 : Math.min(failures, FAILURES_MAX_ONCE_UP);
      while (!(await startAgain())) if (ending.signal.aborted) return;
    }
  }

  async function startAgain(): Promise<boolean> {
    const pauseMs = PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)] ?? 0;
    failures++;
    try {
      await pause(pauseMs);
      room.giveWhenFull();
      current = await startPostmaster(options, first.port, ending.signal);
      log.warn({ postgres: current.pid, port: current.port }, 'PostgreSQL is back');
      return true;
    } catch (error) {
      if (ending.signal.aborted) return false;
      const nextInMs = PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)];
      log.error({ err: error, failures, nextInMs }, 'PostgreSQL could not be started again; the next attempt follows');
      return false;
    }
  }

  /** Ends early when a disk that was full has space again. @throws when the watch ends */
  async function pause(ms: number): Promise<void> {
    const endsAt = performance.now() + ms;
    const wasFull = room.isFull();
    for (let left = ms; left > 0; left = endsAt - performance.now()) {
      // This wait alone must not keep a finished process alive.
      await sleep(Math.min(left, diskEveryMs), undefined, { signal: ending.signal, ref: false });
      if (wasFull && !room.isFull()) return;
    }
  }

  const keeping = setInterval(() => keep(), diskEveryMs);
  keeping.unref();
  function keep(): void {
    try {
      room.keep();
    } catch (error) {
      log.warn({ err: error }, 'the room for PostgreSQL could not be looked at');
    }
  }

  const watching = keepAlive();
  return {
    async stop() {
      clearInterval(keeping);
      ending.abort();
      if (current.isAlive()) {
        const by = await stopPostmaster(current.pid, stopWaitMsMax, current.isAlive);
        if (by !== 'SIGINT') log.warn({ by }, 'PostgreSQL did not stop in time and was stopped by force');
      }
      await watching;
      // An attempt may have just succeeded when the stop was requested.
      if (current.isAlive()) await stopPostmaster(current.pid, stopWaitMsMax, current.isAlive);
      await clearOldBackends(clusterDir);
    },
  };
}
