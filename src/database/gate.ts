import pg from 'pg';

/**
 * A gate before a database that is not fit to be used yet, or whose address is not known yet. Until it is opened whoever
 * connects is told what a PostgreSQL tells that is just starting, and does what it does then: wait, or answer 503.
 */
export interface Gate {
  /** For the pools. */
  Client: typeof pg.Client;
  /** Lets through whoever connects from now on, to this address. The options of the pool's own address stay. */
  open(connectionString: string): void;
}

/** What a pool is opened with while its address is not known. */
export const unknownAddress = 'postgresql://not-known-yet/';

export function createGate(): Gate {
  let address: string | undefined;

  class GatedClient extends pg.Client {
    readonly #isShut: boolean;

    constructor(config: pg.ClientConfig) {
      super(address === undefined ? config : { ...config, connectionString: withOptionsOf(config, address) });
      this.#isShut = address === undefined;
    }

    override connect(): Promise<this>;
    override connect(callback: (error: Error) => void): void;
    override connect(callback?: (error: Error) => void): unknown {
      if (!this.#isShut) return callback === undefined ? super.connect() : super.connect(callback);
      if (callback === undefined) return Promise.reject(isStarting());
      return process.nextTick(callback, isStarting());
    }
  }
  return {
    Client: GatedClient as typeof pg.Client,
    open(connectionString) {
      address = connectionString;
    },
  };
}

function withOptionsOf({ connectionString }: pg.ClientConfig, address: string): string {
  const url = new URL(address);
  const options = new URL(connectionString ?? unknownAddress).searchParams.get('options');
  if (options !== null) url.searchParams.set('options', options);
  return url.href;
}

function isStarting(): pg.DatabaseError {
  const error = new pg.DatabaseError('the server has not prepared the database yet', 0, 'error');
  error.code = cannotConnectNow;
  return error;
}

const cannotConnectNow = '57P03';
