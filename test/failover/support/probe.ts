import { setTimeout as sleep } from 'node:timers/promises';
import { query } from './cluster.ts';

/** Writes one row after the other through HAProxy, past the server: says how long the database itself took no writes. */
export interface Probe {
  /** The longest time between two writes that succeeded, in ms, since the last call; what still lasts counts. */
  longestAwayMs(): number;
  stop(): Promise<void>;
}

export async function startProbe(url: string): Promise<Probe> {
  await query(url, 'create table if not exists probe (at timestamptz)');
  let [lastMs, longestMs, isOver] = [performance.now(), 0, false];
  const note = () => {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
  };
  const probing = (async () => {
    while (!isOver) {
      await query(url, 'insert into probe values (now())', [], 1_000).then(note, () => {});
      await sleep(100);
    }
  })();
  return {
    longestAwayMs() {
      const longest = Math.max(longestMs, performance.now() - lastMs);
      longestMs = 0;
      return longest;
    },
    async stop() {
      isOver = true;
      await probing;
    },
  };
}
