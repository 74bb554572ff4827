/**
 * Ways into the database that show the rows of one organization each (docs/decisions/0009-row-level-security.md and
 * 0021-a-handle-of-one-organization.md).
 */
import type pg from 'pg';
import { abandonOn } from './abandon.ts';
import { type Access, accessTo, type ConnectionSource } from './access.ts';
import { type Actor, theServer } from './audit.ts';
import { type Fold, rememberFolding } from './folding.ts';
import { apiRole, organizationSetting } from './roles.ts';
import type { Shares } from './shares.ts';
import { inOneTrip, type Patience, withinTransaction } from './transactions.ts';

/** In the type only, and known to this file only: so nothing else makes the handle below. */
declare const isBound: unique symbol;

/**
 * The database as one organization has it: its rows and no others, whatever a statement asks for. A route asks for it once,
 * by `Database.as`; a store takes it as its first argument. `pool` and `kysely` are for what requests read and edit: of
 * those connections the organization holds as many as are still free, and no more (`shares.ts`).
 */
export interface OrganizationDatabase extends Access {
  readonly organizationId: string;
  /** Who works with it: what the audit log says of what is done. */
  readonly actor: Actor;
  /**
   * The way of initialize and finalize: one statement in a transaction of its own, on a connection of ingest, so that no
   * read keeps it waiting. @throws CommitInDoubt when the connection is lost on the way
   */
  runAsIngest: RunStatement;
  /** How names and keywords are compared in this database. */
  folding: () => Promise<Fold>;
  readonly [isBound]: true;
}

export type RunStatement = <Row extends pg.QueryResultRow>(
  statement: pg.QueryConfig,
  patience: Patience,
) => Promise<pg.QueryResult<Row>>;

/**
 * Makes the handles of organizations. With a signal, what a handle waits for and runs ends when that is aborted. Whatever is done
 * without an actor is done by the server itself.
 */
export type BindOrganization = (
  organizationId: string,
  signal?: AbortSignal | undefined,
  actor?: Actor,
) => OrganizationDatabase;

export function createOrganizations(pools: {
  general: Pick<pg.Pool, 'connect'>;
  shares: Shares;
  ingest: pg.Pool;
  abandonedMsMax: number;
}): BindOrganization {
  const connectionsOf = connectionsByOrganization(pools.general, pools.shares, pools.abandonedMsMax);
  const folding = rememberFolding();
  return (organizationId, signal, actor = theServer) => {
    const access = accessTo(connectionsOf(organizationId, signal));
    const own = {
      organizationId,
      actor,
      runAsIngest: runAs(pools.ingest, organizationId),
      // It is remembered for all, so that it does not end with whoever asks first.
      folding: () => folding(connectionsOf(organizationId)),
    };
    return Object.assign(access, own) as OrganizationDatabase;
  };
}

/**
 * Makes handles that take part in a transaction of the service. Their statements run under the role and the policies of every
 * other handle. They have no way of ingest, which is another connection.
 */
export function organizationsWithin(client: pg.PoolClient): BindOrganization {
  const folding = rememberFolding();
  return (organizationId, _signal, actor = theServer) => {
    const connections = withinTransaction(client, { text: nameOrganizationOnce, values: [organizationId] });
    const runAsIngest = () => Promise.reject(new Error('ingest takes no part in the transactions of others'));
    const own = { organizationId, actor, runAsIngest, folding: () => folding(connections) };
    return Object.assign(accessTo(connections), own) as unknown as OrganizationDatabase;
  };
}

/**
 * Names the organization to the connections of a pool as it hands them out, which the policies of the tables look at. There
 * is no other way to these connections; one that has no organization yet fails where a policy asks for it. An organization
 * gets no more of them than `shares` give it.
 */
function connectionsByOrganization(
  pool: Pick<pg.Pool, 'connect'>,
  shares: Shares,
  abandonedMsMax: number,
): (organizationId: string, signal?: AbortSignal) => ConnectionSource {
  const organizationOf = new WeakMap<pg.PoolClient, string>();

  async function connect(organizationId: string, signal: AbortSignal | undefined): Promise<pg.PoolClient> {
    const give = await shares.take(organizationId, signal);
    let client: pg.PoolClient;
    try {
      client = await pool.connect();
    } catch (error) {
      give();
      throw error;
    }
    const release = client.release.bind(client);
    const isReturned = signal && abandonOn(signal, client, abandonedMsMax);
    // The pool makes `release` anew whenever it hands the connection out.
    client.release = (error?: Error | boolean) => {
      isReturned?.();
      release(error);
      give();
    };
    if (signal?.aborted) {
      client.release();
      throw signal.reason;
    }
    if (organizationOf.get(client) === organizationId) return client;
    organizationOf.delete(client);
    try {
      await client.query({ name: 'name_organization', text: nameOrganization, values: [organizationId] });
    } catch (error) {
      client.release(error as Error);
      throw error;
    }
    organizationOf.set(client, organizationId);
    return client;
  }

  return (organizationId, signal) => ({
    connect: () => connect(organizationId, signal),
    async query<Row extends pg.QueryResultRow>(statement: string | pg.QueryConfig, values?: unknown[]) {
      const client = await connect(organizationId, signal);
      let failure: Error | undefined;
      try {
        return await client.query<Row>(statement as string, values);
      } catch (error) {
        failure = error as Error;
        signal?.throwIfAborted();
        throw error;
      } finally {
        client.release(failure);
      }
    },
  });
}

const nameOrganization = `select set_config('${organizationSetting}', $1::text, false)`;

/** Names the role and the organization for one transaction, and sends the statement along. */
function runAs(pool: pg.Pool, organizationId: string): RunStatement {
  return async <Row extends pg.QueryResultRow>(statement: pg.QueryConfig, patience: Patience) => {
    const nameOnce = { name: 'name_organization_once', text: nameOrganizationOnce, values: [organizationId] };
    const [, answer] = await inOneTrip<[unknown, pg.QueryResult<Row>]>(
      pool,
      (client) => [client.query(nameOnce), client.query<Row>(statement)],
      patience,
    );
    return answer;
  };
}

const nameOrganizationOnce = `
  select set_config('role', '${apiRole}', true), set_config('${organizationSetting}', $1::text, true)`;
