/** How statements become transactions, and what becomes of a connection on which PostgreSQL does not answer any more. */
import type pg from 'pg';
import { within } from '../lib/within.ts';
import type { Connections } from './access.ts';
import { cut, isReadTimeout, processOf, sendTogether } from './driver.ts';
import { CommitInDoubt, DatabaseSilent, isAway, isConnectionLoss } from './failures.ts';

/** How long a transaction waits, in milliseconds. */
export interface Patience {
  /** For a lock that somebody else holds; then its statement fails with 55P03. */
  lockMsMax?: number;
  /** For an answer, until PostgreSQL is asked on another connection whether it is still at work. */
  lateAnswerMs: number;
  /** For the answer to that; then the connection is given up. */
  lookMsMax: number;
}

/** Ways on the connection of a transaction that is under way. */
const underWay = new WeakSet<object>();

/**
 * A way on the connection of a transaction that is under way: `inTransaction` takes part in that one and begins none, so that an
 * error must end all of it. Ways on one connection are used one after the other.
 * @param take a statement that is run whenever somebody takes the connection: it names the role of this way
 */
export function withinTransaction(client: pg.PoolClient, take: pg.QueryConfig): Connections {
  const connect = async () => {
    await client.query(take);
    return { query: client.query.bind(client), release() {} } as unknown as pg.PoolClient;
  };
  const connections: Connections = {
    connect,
    async query<Row extends pg.QueryResultRow>(statement: string | pg.QueryConfig, values?: unknown[]) {
      return (await connect()).query<Row>(statement as string, values);
    },
  };
  underWay.add(connections);
  return connections;
}

/**
 * Runs `work` in one transaction on one connection; any error rolls back, and a broken connection is not reused.
 * @throws CommitInDoubt when the connection is lost at the commit
 */
export async function inTransaction<Result>(
  pool: Pick<Connections, 'connect'>,
  work: (client: pg.PoolClient) => Promise<Result>,
  patience?: Patience,
): Promise<Result> {
  const client = await pool.connect();
  if (underWay.has(pool)) return work(client);
  let broken: Error | undefined;
  try {
    return await unlessSilent(pool, client, run(client, work, patience), patience);
  } catch (error) {
    // A connection that has not answered in time would let the rollback wait as long again; closing it rolls back too.
    const isUseless = isAway(error) || isReadTimeout(error);
    broken = isUseless ? (error as Error) : await rollBack(client);
    throw error;
  } finally {
    client.release(broken);
  }
}

async function run<Result>(
  client: pg.PoolClient,
  work: (client: pg.PoolClient) => Promise<Result>,
  patience: Patience | undefined,
): Promise<Result> {
  // Not awaited first: on a connection that sends ahead, it travels with the first statements of the work.
  const begun = client.query(beginning(patience));
  begun.catch(() => {});
  const result = await work(client);
  await begun;
  await client.query('commit').catch((error: Error) => {
    throw isConnectionLoss(error) ? new CommitInDoubt(error) : error;
  });
  return result;
}

const beginning = ({ lockMsMax }: Partial<Patience> = {}) =>
  lockMsMax === undefined ? 'begin' : `begin; set local lock_timeout = ${Math.max(1, Math.round(lockMsMax))}`;

/** @returns why the connection is of no more use, if it is not. */
async function rollBack(client: pg.PoolClient): Promise<Error | undefined> {
  try {
    await client.query('rollback');
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/**
 * Runs statements as one transaction in one trip: `begin`, what `send` sends without waiting, and `commit` travel together,
 * so that a transaction of a few statements takes PostgreSQL and this process once from other work, not four times. When a
 * statement fails PostgreSQL rolls back. The connections of the pool must be such as send ahead.
 * @throws the error of the first statement that failed; CommitInDoubt when the connection is lost on the way
 */
export async function inOneTrip<Results extends unknown[]>(
  pool: pg.Pool,
  send: (client: pg.PoolClient) => { [Index in keyof Results]: Promise<Results[Index]> },
  patience?: Patience,
): Promise<Results> {
  const client = await pool.connect();
  const sent = sendTogether(client, () => [client.query(beginning(patience)), ...send(client), client.query('commit')]);
  const outcomes = await unlessSilent(pool, client, Promise.allSettled(sent), patience);
  const failure = outcomes.find((outcome) => outcome.status === 'rejected')?.reason as Error | undefined;
  const isLost = failure !== undefined && (isConnectionLoss(failure) || isReadTimeout(failure));
  client.release(isLost || isAway(failure) ? failure : undefined);
  if (failure !== undefined) throw isLost ? new CommitInDoubt(failure) : failure;
  return outcomes.slice(1, -1).map((outcome) => (outcome as PromiseFulfilledResult<unknown>).value) as Results;
}

/** Runs one statement, which is a transaction of its own, on a connection that is given up when it falls silent. */
export async function inOneStatement<Row extends pg.QueryResultRow>(
  pool: Pick<Connections, 'connect'>,
  statement: pg.QueryConfig,
  patience?: Patience,
): Promise<pg.QueryResult<Row>> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    return await unlessSilent(pool, client, client.query<Row>(statement), patience);
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    client.release(isAway(failure) || isReadTimeout(failure) ? failure : undefined);
  }
}

/**
 * What the work of a connection gives. While it does not, PostgreSQL is asked whether its session is still at work, as with
 * a large body on a slow disk. A machine that has stopped or vanished says nothing to that either, while the kernel goes on
 * confirming what is sent: then the connection is cut, and the work fails with DatabaseSilent.
 */
async function unlessSilent<Result>(
  pool: Pick<Connections, 'connect'>,
  client: pg.PoolClient,
  work: Promise<Result>,
  patience: Patience | undefined,
): Promise<Result> {
  if (patience === undefined) return work;
  const { lateAnswerMs, lookMsMax } = patience;
  let isDone = false;
  const look = async () => {
    const isAtWork = await isSessionAtWork(pool, client, lookMsMax).catch(() => false);
    if (isDone) return;
    if (isAtWork) timer = setTimeout(look, lateAnswerMs);
    else cut(client, new DatabaseSilent(lateAnswerMs + lookMsMax));
  };
  let timer = setTimeout(look, lateAnswerMs);
  try {
    return await work;
  } finally {
    isDone = true;
    clearTimeout(timer);
  }
}

/** A session that runs a transaction holds a lock on the transaction's own number, which everybody may see. */
async function isSessionAtWork(pool: Pick<Connections, 'connect'>, of: pg.PoolClient, msMax: number): Promise<boolean> {
  const text = `select from pg_locks where locktype = 'virtualxid' and pid = $1::integer and granted`;
  const { rowCount } = await askWithin(pool, { text, values: [processOf(of)] }, msMax);
  return rowCount !== 0;
}

/** Runs one short statement; a connection on which it is not answered in time is cut. @throws DatabaseSilent */
export async function askWithin<Row extends pg.QueryResultRow>(
  pool: Pick<Connections, 'connect'>,
  statement: pg.QueryConfig,
  msMax: number,
): Promise<pg.QueryResult<Row>> {
  const silent = () => new DatabaseSilent(msMax);
  const coming = pool.connect();
  const client = await within(coming, msMax, silent).catch((error) => {
    coming.then((late) => late.release()).catch(() => {});
    throw error;
  });
  try {
    const answer = await within(client.query<Row>(statement), msMax, silent);
    client.release();
    return answer;
  } catch (error) {
    cut(client);
    client.release(error as Error);
    throw error;
  }
}
