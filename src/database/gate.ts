import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/**
 * A gate before a database that is being made fit to be used, and whose address need not be known yet. Whoever connects
 * waits before it, as long as it may wait for a connection.
 */
export interface Gate {
  /** For `openDatabase`. */
  Pool: typeof pg.Pool;
  /** PostgreSQL does not answer: until the gate is opened, whoever waits or comes is told so at once. */
  refuse(): void;
  /** Lets everybody through, to this address. The options of the pool's own address stay. */
  open(connectionString: string): void;
}

/** What a pool is opened with while its address is not known. */
export const unknownAddress = 'postgresql://not-known-yet/';

export function createGate(): Gate {
  let address: string | undefined;
  let isAway = false;
  let turn: () => void = () => {};
  const settled = new Promise<void>((resolve) => {
    turn = resolve;
  });

  async function pass(waitMsMax: number): Promise<void> {
    const giveUp = new AbortController();
    const late = sleep(waitMsMax, undefined, { signal: giveUp.signal, ref: false }).catch(() => {});
    await Promise.race([settled, late]);
    giveUp.abort();
    if (address === undefined) throw isStarting();
  }

  class AddressedClient extends pg.Client {
    constructor(config: pg.ClientConfig) {
      super({ ...config, connectionString: withOptionsOf(config, address) });
    }
  }

  class GatedPool extends pg.Pool {
    constructor(config: pg.PoolConfig) {
      super({ ...config, Client: AddressedClient as typeof pg.Client });
    }

    override connect(): Promise<pg.PoolClient>;
    override connect(callback: Connected): void;
    override connect(callback?: Connected): unknown {
      if (address !== undefined) return callback === undefined ? super.connect() : super.connect(callback);
      const connected = isAway
        ? Promise.reject(isStarting())
        : pass(this.options.connectionTimeoutMillis ?? 0).then(() => super.connect());
      if (callback === undefined) return connected;
      return connected.then(
        (client) => callback(undefined, client, client.release),
        (error) => callback(error, undefined, () => {}),
      );
    }
  }
  return {
    Pool: GatedPool as typeof pg.Pool,
    refuse() {
      isAway = true;
      turn();
    },
    open(connectionString) {
      address = connectionString;
      turn();
    },
  };
}

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (error?: Error | boolean) => void,
) => void;

function withOptionsOf({ connectionString = unknownAddress }: pg.ClientConfig, address = unknownAddress): string {
  const url = new URL(address);
  const options = new URL(connectionString).searchParams.get('options');
  if (options !== null) url.searchParams.set('options', options);
  return url.href;
}

/** What a PostgreSQL says that is just starting: whoever is told does what it does then. */
function isStarting(): pg.DatabaseError {
  const error = new pg.DatabaseError('the database is not ready for this server yet', 0, 'error');
  error.code = cannotConnectNow;
  return error;
}

const cannotConnectNow = '57P03';
