import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { databaseError } from './driver.ts';
import { type Route, routeTo } from './route.ts';
import { sqlstates } from './sqlstates.ts';

/**
 * A gate before a database that is being made fit to be used, and whose address need not be known yet. Whoever connects
 * waits before it, as long as it may wait for a connection.
 */
export interface Gate {
  /** For `openDatabase`. */
  route: Route;
  /** PostgreSQL does not answer: until the gate is opened, whoever waits or comes is told so at once. */
  refuse(): void;
  /** Lets everybody through, to this address. */
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

/** What a PostgreSQL says that is just starting: whoever is told does what it does then. */
function isStarting(): pg.DatabaseError {
  return databaseError('the database is not ready for this server yet', sqlstates.cannotConnectNow);
}
