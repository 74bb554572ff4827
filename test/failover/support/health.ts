import { setTimeout as sleep } from 'node:timers/promises';

/** Statuses that the open paths answer from now on, asked twice a second; 0 is no answer. */
export interface Health {
  /** Ends it. */
  stop(): Promise<{ readyz: ReadonlySet<number>; healthz: ReadonlySet<number> }>;
}

export function watchHealth(endpoint: string): Health {
  const seen = { readyz: new Set<number>(), healthz: new Set<number>() };
  let isOver = false;
  const ask = async (name: 'readyz' | 'healthz') => {
    while (!isOver) {
      const answer = await fetch(`${endpoint}/${name}`, { signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
      seen[name].add(answer?.status ?? 0);
      await sleep(500);
    }
  };
  const asking = Promise.all([ask('readyz'), ask('healthz')]);
  return {
    async stop() {
      isOver = true;
      await asking;
      return seen;
    },
  };
}
