import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { databaseError } from './driver.ts';
import { type Route, routeTo } from './route.ts';
import { sqlstates } from './sqlstates.ts';

/**
 * A gate in front of a database that is still being prepared, and whose address may not be known yet. A connection that
 * is asked for waits at the gate, up to its usual time limit.
 */
export interface Gate {
  /** For `openDatabase`. */
  route: Route;
  /** PostgreSQL does not answer: until the gate opens, everyone who waits or comes gets an error at once. */
  refuse(): void;
  /** Lets all through to this address. */
  open(connectionString: string): void;
}

export function createGate(): Gate {
  let behind: Route | undefined;
  let isAway = false;
  let turn: () => void = () => {};
  const settled = new Promise<void>((resolve) => {
    turn = resolve;
  });

  async function pass(msMax: number): Promise<Route> {
    if (behind !== undefined) return behind;
    if (isAway) throw isStarting();
    const giveUp = new AbortController();
    const late = sleep(Math.min(msMax, longestTimerMs), undefined, { signal: giveUp.signal, ref: false });
    await Promise.race([settled, late.catch(() => {})]);
    giveUp.abort();
    if (behind === undefined) throw isStarting();
    return behind;
  }

  return {
    route: {
      find: async (msMax) => (await pass(msMax)).find(msMax),
      config: () => (behind as Route).config(),
      forget: () => behind?.forget(),
      unfit: (client) => (behind as Route).unfit(client),
      settingNames: () => (behind as Route).settingNames(),
    },
    refuse() {
      isAway = true;
      turn();
    },
    open(connectionString) {
      behind = routeTo(connectionString);
      turn();
    },
  };
}

const longestTimerMs = 2 ** 31 - 1;

/** The error of a PostgreSQL that is just starting, so that callers react as they do to that. */
function isStarting(): pg.DatabaseError {
  return databaseError('the database is not ready for this server yet', sqlstates.cannotConnectNow);
}
