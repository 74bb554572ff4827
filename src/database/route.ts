/**
 * Where new connections lead: to the host of an address that accepts them and is of the kind that the address asks for.
 */
import pg from 'pg';
import { type Address, hostsOf, loginName, readAddress } from '../lib/postgres-address.ts';
import { DatabaseClient, databaseError } from './driver.ts';
import { isConnectionLoss } from './failures.ts';
import { type DatabaseLimits, databaseLimits } from './limits.ts';
import { sqlstates } from './sqlstates.ts';
import { tlsOf } from './tls.ts';

export interface Route {
  /** Waits up to `msMax` milliseconds until it is known where connections lead. @throws the errors of the hosts */
  find(msMax: number): Promise<void>;
  /** The configuration of a client that is made now; `find` must have been called. */
  config(): pg.ClientConfig;
  /** A connection has failed: the next one searches for its host again. */
  forget(): void;
  /** Why a connection is of the wrong kind; undefined when it is as the address asks. */
  unfit(client: Pick<pg.ClientBase, 'query'>): Promise<Error | undefined>;
  /** Settings of PostgreSQL that the address itself asks for. */
  settingNames(): string[];
}

/**
 * @param limits `placeMsMax`: longest wait for one host of several, where the address has no `connect_timeout`
 * @throws AddressError
 */
export function routeTo(connectionString: string, limits: Pick<DatabaseLimits, 'placeMsMax'> = databaseLimits): Route {
  const address = readAddress(connectionString);
  const wanted = address.target_session_attrs ?? 'any';
  const placeMsMax = Number(address.connect_timeout ?? 0) * 1_000 || limits.placeMsMax;
  let found: pg.ClientConfig | undefined;
  let isForgotten = false;
  let finding: Promise<void> | undefined;

  const unfit = async (client: Pick<pg.ClientBase, 'query'>, kind = wanted) =>
    kind === 'any' || (await isOfKind(client, kind)) ? undefined : ofOtherKind(kind);

  async function findNow(): Promise<void> {
    const kinds = wanted === 'prefer-standby' ? ['standby', 'any'] : [wanted];
    let failure: unknown;
    for (const kind of kinds) {
      for (const waysTo of waysOf(address)) {
        for (const way of waysTo) {
          const refusal = await refusalOf(way, placeMsMax, (client) => unfit(client, kind));
          if (refusal === undefined) {
            found = way;
            isForgotten = false;
            return;
          }
          // An error that a PostgreSQL has sent is more useful than the silence of another host.
          if (!(failure instanceof pg.DatabaseError) || refusal instanceof pg.DatabaseError) failure = refusal;
          if (!(refusal instanceof pg.DatabaseError) && isConnectionLoss(refusal)) break;
        }
      }
    }
    throw failure;
  }

  return {
    async find() {
      if (found !== undefined && !isForgotten) return;
      const ways = waysOf(address).flat();
      if (ways.length === 1 && wanted === 'any') {
        found = ways[0];
        isForgotten = false;
        return;
      }
      finding ??= findNow().finally(() => {
        finding = undefined;
      });
      await finding;
    },
    config: () => found as pg.ClientConfig,
    forget() {
      // Clients that are being made still need the configuration.
      isForgotten = true;
    },
    unfit: (client) => unfit(client, wanted === 'prefer-standby' ? 'any' : wanted),
    settingNames: () => namesIn(address.options ?? ''),
  };
}

/** For each host of the address, the ways in which it is tried: with TLS, without, or both. */
function waysOf(address: Address): pg.ClientConfig[][] {
  const { password, options, application_name, channel_binding } = address;
  const sslnegotiation = address.sslnegotiation as 'postgres' | 'direct' | undefined;
  const user = loginName(address);
  const login = {
    user,
    database: address.dbname ?? user,
    ...(password !== undefined && { password }),
    ...(options !== undefined && { options }),
    ...(application_name !== undefined && { application_name }),
    ...(channel_binding === 'prefer' && { enableChannelBinding: true }),
  };
  return hostsOf(address).map((place) =>
    tlsOf(address, place).map((ssl) => ({
      ...login,
      host: place.host,
      port: place.port,
      ssl,
      ...(ssl !== false && sslnegotiation !== undefined && { sslnegotiation }),
    })),
  );
}

/** Connects once. @returns why there is no connection of the right kind; undefined where there is one */
async function refusalOf(
  way: pg.ClientConfig,
  msMax: number,
  unfit: (client: pg.Client) => Promise<Error | undefined>,
): Promise<Error | undefined> {
  const client = new DatabaseClient({ ...way, connectionTimeoutMillis: msMax, query_timeout: msMax });
  client.on('error', () => {}); // A connection that breaks also rejects the call below.
  try {
    await client.connect();
    return await unfit(client);
  } catch (error) {
    return error as Error;
  } finally {
    await client.end().catch(() => {});
  }
}

async function isOfKind(client: Pick<pg.ClientBase, 'query'>, kind: string): Promise<boolean> {
  const { rows } = await client.query<{ isStandby: boolean; isReadOnly: boolean }>(
    `select pg_is_in_recovery() as "isStandby", current_setting('transaction_read_only')::boolean as "isReadOnly"`,
  );
  const { isStandby, isReadOnly } = rows[0] as { isStandby: boolean; isReadOnly: boolean };
  switch (kind) {
    case 'read-write':
      return !isReadOnly;
    case 'read-only':
      return isReadOnly;
    case 'primary':
      return !isStandby;
    default:
      return isStandby;
  }
}

/** The error of a PostgreSQL that is just starting, since another host may become of that kind. */
function ofOtherKind(kind: string): pg.DatabaseError {
  const sentence = `no place of the address is "${kind}", as its target_session_attrs asks`;
  return databaseError(sentence, sqlstates.cannotConnectNow);
}

/** The names in options such as `-c search_path=lab --work_mem=8MB`. */
const namesIn = (options: string): string[] =>
  [...options.matchAll(/(?:^|\s)(?:-c\s*|--)([\w.-]+)=/g)].map(([, name]) =>
    (name as string).replaceAll('-', '_').toLowerCase(),
  );
