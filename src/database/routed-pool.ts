/** Pools of connections whose place is looked for, and which wait when PostgreSQL has no connection left for them. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { DatabaseSilent, isAway } from './failures.ts';
import type { Route } from './route.ts';

interface Bounds {
  /** Pause until a connection is asked for again, where there is none. */
  fullPauseMs: number;
  /** How long the pool makes do with the connections that it has. */
  fullKeepMs: number;
  /** Called when PostgreSQL has no connection left and the pool has none: other pools may have some to spare. */
  onStarved?: (() => void) | undefined;
}

/** A class of pools for this route. */
export function poolOn(route: Pick<Route, 'find' | 'config' | 'forget'>, bounds: Bounds): typeof pg.Pool {
  class RoutedClient extends pg.Client {
    constructor(config: pg.ClientConfig) {
      super({ ...config, ...route.config() });
    }
  }

  class RoutedPool extends pg.Pool {
    readonly #max: number;

    constructor(config: pg.PoolConfig) {
      super({ ...config, Client: RoutedClient as typeof pg.Client });
      this.#max = this.options.max as number;
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
      await route.find(waitMsMax);
      try {
        return await super.connect();
      } catch (error) {
        return this.#connectLater(error, deadline);
      }
    }

    /** PostgreSQL has none left: then one of those that are there will come free. */
    async #connectLater(failure: unknown, deadline: number): Promise<pg.PoolClient> {
      let error = failure;
      while (this.#isFull(error) && performance.now() < deadline) {
        this.#makeNoMore();
        if (this.totalCount === 0) {
          bounds.onStarved?.();
          await sleep(bounds.fullPauseMs);
        }
        try {
          await route.find(deadline - performance.now());
          return await this.#before(deadline, super.connect(), error);
        } catch (next) {
          error = next;
        }
      }
      if (isAway(error)) route.forget();
      throw error;
    }

    /** A pooler whose pool is used up takes the connection and does not answer on it. */
    #isFull(error: unknown): boolean {
      if (error instanceof DatabaseSilent) return this.totalCount > 0;
      const { code, message } = error as { code?: string; message: string };
      return code === tooManyConnections || /no more connections allowed/.test(message);
    }

    /** For a while, whoever wants a connection waits for one that is there, instead of being refused another one. */
    #makeNoMore(): void {
      if (this.options.max !== this.#max) return;
      this.options.max = Math.max(1, Math.min(this.#max, this.totalCount));
      setTimeout(() => {
        this.options.max = this.#max;
      }, bounds.fullKeepMs).unref();
    }

    /** The pool counts its own wait from each call. */
    async #before(deadline: number, connecting: Promise<pg.PoolClient>, failure: unknown): Promise<pg.PoolClient> {
      const giveUp = new AbortController();
      const late = sleep(Math.max(0, deadline - performance.now()), undefined, { signal: giveUp.signal, ref: false });
      const first = await Promise.race([connecting, late.catch(() => undefined)]).finally(() => giveUp.abort());
      if (first !== undefined) return first;
      connecting.then(
        (client) => client.release(),
        () => {},
      );
      throw failure;
    }
  }
  return RoutedPool as typeof pg.Pool;
}

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (error?: Error | boolean) => void,
) => void;

const tooManyConnections = '53300';
