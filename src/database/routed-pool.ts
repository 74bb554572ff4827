/** Pools that search for the host of a connection, and that wait when PostgreSQL has no connection left for them. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { DatabaseClient, databaseError, isPoolerFull } from './driver.ts';
import { DatabaseSilent, isAway } from './failures.ts';
import type { Route } from './route.ts';
import { hasSqlstate, sqlstates } from './sqlstates.ts';

export interface PoolBounds {
  /** Pause before asking again for a connection, where there is none. */
  fullPauseMs: number;
  /** How long the pool opens no further connections after a refusal. */
  fullKeepMs: number;
  /** How long requests wait while PostgreSQL has no connection left and the pool has none; by default as long as for any connection. */
  starvedMsMax?: number | undefined;
  /** Called when PostgreSQL has no connection left and the pool has none: other pools may have one to spare. */
  onStarved?: (() => void) | undefined;
}

export class RoutedPool extends pg.Pool {
  readonly #route: Route;
  readonly #bounds: PoolBounds;
  readonly #max: number;
  /** Connections that have been made; `totalCount` counts attempts too. */
  #made = 0;
  #making: Promise<void> | undefined;
  /** Since when the pool has had no connection because PostgreSQL had none left. */
  #starvedSince: number | undefined;

  constructor(config: pg.PoolConfig, route: Route, bounds: PoolBounds) {
    super({ ...config, Client: clientOf(route) });
    this.#route = route;
    this.#bounds = bounds;
    this.#max = this.options.max as number;
    this.on('connect', () => {
      this.#made++;
      this.#starvedSince = undefined;
    });
    this.on('remove', () => this.#made--);
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Connected): void;
  override connect(callback?: Connected): unknown {
    const connected = this.#connect();
    if (callback === undefined) return connected;
    return connected.then(
      (client) => callback(undefined, client, client.release),
      (error) => callback(error, undefined, () => {}),
    );
  }

  async #connect(): Promise<pg.PoolClient> {
    const waitMsMax = this.options.connectionTimeoutMillis || Number.POSITIVE_INFINITY;
    const deadline = performance.now() + waitMsMax;
    try {
      await this.#route.find(waitMsMax);
      return await super.connect();
    } catch (error) {
      return this.#connectLater(error, deadline);
    }
  }

  /** PostgreSQL has no connection left: waits until one of this pool comes free. */
  async #connectLater(failure: unknown, deadline: number): Promise<pg.PoolClient> {
    let error = failure;
    while (isFull(error) && performance.now() < deadline) {
      this.#makeNoMore();
      if (this.#made === 0) {
        this.#starvedSince ??= performance.now();
        const starvedDeadline = this.#starvedSince + (this.#bounds.starvedMsMax ?? Number.POSITIVE_INFINITY);
        this.#making ??= this.#makeOne(Math.min(deadline, starvedDeadline)).finally(() => {
          this.#making = undefined;
        });
        await this.#making;
        if (this.#made === 0 && performance.now() >= starvedDeadline) break;
      }
      try {
        await this.#route.find(deadline - performance.now());
        return await before(deadline, super.connect(), error);
      } catch (next) {
        error = next;
        if (isFull(error)) await sleep(this.#bounds.fullPauseMs);
      }
    }
    if (isAway(error)) this.#route.forget();
    throw error instanceof DatabaseSilent ? noneLeft(error) : error;
  }

  /** One attempt for all who wait. */
  async #makeOne(deadline: number): Promise<void> {
    while (this.#made === 0 && performance.now() < deadline) {
      this.#bounds.onStarved?.();
      await sleep(this.#bounds.fullPauseMs);
      try {
        await this.#route.find(deadline - performance.now());
        (await super.connect()).release();
      } catch (error) {
        // Those who wait get the same error, and report it.
        if (!isFull(error)) return;
      }
    }
  }

  /**
   * For a while, the pool opens no further connections: requests wait for an existing one instead of being refused.
   */
  #makeNoMore(): void {
    if (this.options.max !== this.#max) return;
    this.options.max = Math.max(1, Math.min(this.#max, this.#made));
    setTimeout(() => {
      this.options.max = this.#max;
    }, this.#bounds.fullKeepMs).unref();
  }
}

function clientOf(route: Route): typeof pg.Client {
  class RoutedClient extends DatabaseClient {
    constructor(config: pg.ClientConfig) {
      super({ ...config, ...route.config() });
    }
  }
  return RoutedClient as typeof pg.Client;
}

/** A pooler whose own connections are used up accepts one more from us, but does not answer on it. */
function isFull(error: unknown): boolean {
  if (error instanceof DatabaseSilent) return true;
  return hasSqlstate(error, sqlstates.tooManyConnections) || isPoolerFull(error);
}

/** As PostgreSQL's own error: callers then know that existing connections go on and can still be read from. */
function noneLeft(cause: Error): pg.DatabaseError {
  const error = databaseError('the database has no connection left', sqlstates.tooManyConnections);
  return Object.assign(error, { cause });
}

/** Limits the wait for a connection to `deadline`, since the pool counts its own time limit from each call anew. */
async function before(deadline: number, connecting: Promise<pg.PoolClient>, failure: unknown): Promise<pg.PoolClient> {
  const giveUp = new AbortController();
  const msLeft = Math.min(Math.max(0, deadline - performance.now()), longestTimerMs);
  const late = sleep(msLeft, undefined, { signal: giveUp.signal, ref: false });
  const first = await Promise.race([connecting, late.catch(() => undefined)]).finally(() => giveUp.abort());
  if (first !== undefined) return first;
  connecting.then(
    (client) => client.release(),
    () => {},
  );
  throw failure;
}

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (error?: Error | boolean) => void,
) => void;

const longestTimerMs = 2 ** 31 - 1;
