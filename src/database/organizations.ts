/**
 * Handles to the database, each of which shows the rows of one organization only
 * (docs/decisions/0009-row-level-security.md and 0021-a-handle-of-one-organization.md).
 */
import type pg from 'pg';
import { abandonOn } from './abandon.ts';
import { type Access, accessTo, type ConnectionSource } from './access.ts';
import { type Actor, theServer } from './audit.ts';
import { rememberDistribution } from './distribution.ts';
import { type Fold, rememberFolding } from './folding.ts';
import { nameLocally, setLocalAsApi } from './local-organization.ts';
import { apiRole, organizationSetting } from './roles.ts';
import type { Shares } from './shares.ts';
import { inOneTrip, type Patience, withinTransaction } from './transactions.ts';

/** It exists in the type only, and only in this file: so only this file makes handles. */
declare const isBound: unique symbol;

/**
 * The database as one organization sees it: its own rows only, whatever a statement asks for. A route gets a handle by
 * `Database.as`; a store takes it as its first argument. `pool` and `kysely` are for what requests read and edit: an
 * organization may hold as many of those connections as it leaves free, so never more than half (`shares.ts`).
 */
export interface OrganizationDatabase extends Access {
  readonly organizationId: string;
  /** Who acts, for the entries of the audit log. */
  readonly actor: Actor;
  /**
   * For initialize and finalize: runs statements in a transaction of their own on a connection of ingest, so that no
   * read keeps them waiting. @returns the answer to the last. @throws CommitInDoubt when the connection is lost meanwhile
   */
  runAsIngest: RunStatement;
  /** Whether the tables of streams are distributed over the nodes of a cluster (`distribution.ts`). */
  isDistributed: () => Promise<boolean>;
  /** How names and keywords are compared in this database. */
  folding: () => Promise<Fold>;
  readonly [isBound]: true;
}

export type RunStatement = <Row extends pg.QueryResultRow>(
  statements: pg.QueryConfig | readonly pg.QueryConfig[],
  patience: Patience,
) => Promise<pg.QueryResult<Row>>;

/**
 * Makes the handle of an organization. When the signal is aborted, what the handle waits for or runs ends. Without an
 * actor, the server itself is the actor.
 */
export type BindOrganization = (
  organizationId: string,
  signal?: AbortSignal | undefined,
  actor?: Actor,
) => OrganizationDatabase;

/** Where the connections of a handle come from. */
export interface Lender extends Pick<ConnectionSource, 'runsAgain'> {
  connect(): Promise<pg.PoolClient>;
}

interface Pools {
  general: Lender;
  /** Makes a lender for one read, where reads may go to a replica. A cluster uses none. */
  lendToRead?: (() => Lender) | undefined;
  shares: Shares;
  ingest: pg.Pool;
  abandonedMsMax: number;
  isDistributed: () => Promise<boolean>;
}

export function createOrganizations(pools: Pools): { as: BindOrganization; readingAs: BindOrganization } {
  const { general, lendToRead } = pools;
  const connectionsOf = connectionsByOrganization(pools);
  const folding = rememberFolding();
  const bindTo =
    (lender: () => Lender): BindOrganization =>
    (organizationId, signal, actor = theServer) => {
      const access = accessTo(connectionsOf(lender(), organizationId, signal));
      const own = {
        organizationId,
        actor,
        runAsIngest: runAs(pools, organizationId),
        isDistributed: pools.isDistributed,
        // Shared by all callers, so it must not end with the request that asks first.
        folding: () => folding(connectionsOf(general, organizationId)),
      };
      return Object.assign(access, own) as OrganizationDatabase;
    };
  const as = bindTo(() => general);
  return { as, readingAs: lendToRead === undefined ? as : bindTo(lendToRead) };
}

/**
 * Makes handles that take part in a transaction of the service role. Their statements run under the same role and
 * policies as those of other handles. They cannot run as ingest, since that is another connection.
 */
export function organizationsWithin(client: pg.PoolClient): BindOrganization {
  const folding = rememberFolding();
  return (organizationId, _signal, actor = theServer) => {
    const connections = withinTransaction(client, { text: setLocalAsApi(organizationId) });
    const runAsIngest = () => Promise.reject(new Error('ingest takes no part in the transactions of others'));
    const isDistributed = rememberDistribution(connections);
    const own = { organizationId, actor, runAsIngest, isDistributed, folding: () => folding(connections) };
    return Object.assign(accessTo(connections), own) as unknown as OrganizationDatabase;
  };
}

/**
 * Sets the organization on each connection that is lent; the policies of the tables read that setting. There is no other
 * way to these connections, and a connection without the setting fails where a policy reads it. An organization gets no
 * more connections than `shares` allows, those of a replica among them.
 */
function connectionsByOrganization({
  general,
  shares,
  abandonedMsMax,
  isDistributed,
}: Pools): (lender: Lender, organizationId: string, signal?: AbortSignal) => ConnectionSource {
  const organizationOf = new WeakMap<pg.PoolClient, string>();

  async function connect(
    lender: Lender,
    organizationId: string,
    signal: AbortSignal | undefined,
  ): Promise<pg.PoolClient> {
    const giveBack = await shares.take(organizationId, signal);
    let client: pg.PoolClient;
    let isLocal: boolean;
    try {
      isLocal = await isDistributed();
      client = await (isLocal ? general : lender).connect();
    } catch (error) {
      giveBack();
      throw error;
    }
    const release = client.release.bind(client);
    const isReturned = signal && abandonOn(signal, client, abandonedMsMax);
    const unname = isLocal ? nameLocally(client, organizationId) : undefined;
    // The pool makes a new `release` whenever it hands a connection out.
    client.release = (error?: Error | boolean) => {
      isReturned?.();
      unname?.();
      release(error);
      giveBack();
    };
    if (signal?.aborted) {
      client.release();
      throw signal.reason;
    }
    if (isLocal || organizationOf.get(client) === organizationId) return client;
    organizationOf.delete(client);
    try {
      await client.query({ name: 'name_organization', text: setOrganization, values: [organizationId] });
    } catch (error) {
      client.release(error as Error);
      signal?.throwIfAborted();
      if (lender.runsAgain?.(client, error)) return connect(lender, organizationId, signal);
      throw error;
    }
    organizationOf.set(client, organizationId);
    return client;
  }

  return (lender, organizationId, signal) => {
    const runsAgain = (client: pg.PoolClient, error: unknown) =>
      signal?.aborted !== true && lender.runsAgain?.(client, error) === true;
    return {
      connect: () => connect(lender, organizationId, signal),
      runsAgain,
      async query<Row extends pg.QueryResultRow>(statement: string | pg.QueryConfig, values?: unknown[]) {
        for (;;) {
          const client = await connect(lender, organizationId, signal);
          let failure: Error | undefined;
          try {
            return await client.query<Row>(statement as string, values);
          } catch (error) {
            failure = error as Error;
            signal?.throwIfAborted();
            if (!runsAgain(client, error)) throw error;
          } finally {
            client.release(failure);
          }
        }
      },
    };
  };
}

const setOrganization = `select set_config('${organizationSetting}', $1::text, false)`;

/** Sets the role and the organization for one transaction, and sends the statements in the same round trip. */
function runAs({ ingest, isDistributed }: Pools, organizationId: string): RunStatement {
  const setForTransaction = {
    name: 'name_organization_once',
    text: setOrganizationForTransaction,
    values: [organizationId],
  };
  return async <Row extends pg.QueryResultRow>(
    statements: pg.QueryConfig | readonly pg.QueryConfig[],
    patience: Patience,
  ) => {
    const set = (await isDistributed()) ? { text: setLocalAsApi(organizationId) } : setForTransaction;
    const answers = await inOneTrip<pg.QueryResult<Row>[]>(
      ingest,
      (client) => [set, ...[statements].flat()].map((statement) => client.query<Row>(statement)),
      patience,
    );
    return answers.at(-1) as pg.QueryResult<Row>;
  };
}

const setOrganizationForTransaction = `
  select set_config('role', '${apiRole}', true), set_config('${organizationSetting}', $1::text, true)`;
