import { availableParallelism, loadavg } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OverviewLimits } from './limits.ts';

/** Pauses after each piece of work; longer when the process or the machine is busy. */
export function createPace({ busyShare, quietShare, busyUtilization }: OverviewLimits) {
  const ending = new AbortController();
  let before = performance.eventLoopUtilization();
  const wait = (ms: number) => sleep(ms, undefined, { ref: false, signal: ending.signal }).catch(() => {});
  return {
    async keep<Result>(work: () => Promise<Result>): Promise<Result> {
      const begunAt = performance.now();
      try {
        return await work();
      } finally {
        const now = performance.eventLoopUtilization();
        const { utilization } = performance.eventLoopUtilization(now, before);
        before = now;
        const isQuiet = utilization <= busyUtilization && (loadavg()[0] as number) < availableParallelism();
        const share = isQuiet ? quietShare : busyShare;
        const pauseMs = (performance.now() - begunAt) * (1 / share - 1);
        await wait(pauseMs);
      }
    },
    wait,
    end: () => ending.abort(),
  };
}
