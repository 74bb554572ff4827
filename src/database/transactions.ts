/** How statements become transactions, and what happens to a connection on which PostgreSQL no longer answers. */
import type pg from 'pg';
import { within } from '../lib/within.ts';
import type { ConnectionSource } from './access.ts';
import { cut, isReadTimeout, processOf, sendsAhead, sendTogether } from './driver.ts';
import { CommitInDoubt, DatabaseSilent, isAway, isCommitUndecided } from './failures.ts';

/** How long a transaction waits, in milliseconds. */
export interface Patience {
  /** For a lock that another session holds; then the statement fails with 55P03. */
  lockMsMax?: number;
  /** For an answer. Then PostgreSQL is asked on another connection whether the session is still at work. */
  lateAnswerMs: number;
  /** For the answer to that question; then the connection is given up. */
  lookMsMax: number;
  /** Settings of PostgreSQL for each transaction, by their names. In a cluster they hold on the nodes too. */
  settings?: Readonly<Record<string, string>>;
}

/** Sources that already run in a transaction: `inTransaction` joins it. */
const underWay = new WeakSet<object>();

/**
 * Makes a `ConnectionSource` whose users all share the one connection of a running transaction. `inTransaction` then joins that
 * transaction instead of beginning one, so any error must end the whole of it. They are used one after the other, never
 * at the same time.
 * @param take a statement that is run whenever the connection is taken: it sets the role for what follows
 */
export function withinTransaction(client: pg.PoolClient, take: pg.QueryConfig): ConnectionSource {
  const connect = async () => {
    await client.query(take);
    return { query: client.query.bind(client), release() {} } as unknown as pg.PoolClient;
  };
  const connections: ConnectionSource = {
    connect,
    async query<Row extends pg.QueryResultRow>(statement: string | pg.QueryConfig, values?: unknown[]) {
      return (await connect()).query<Row>(statement as string, values);
    },
  };
  underWay.add(connections);
  return connections;
}

/**
 * Runs `work` in one transaction on one connection; any error rolls back, and a broken connection is not reused. A read
 * that fails on a replica runs once more on the primary.
 * @throws CommitInDoubt when the connection is lost at the commit
 */
export async function inTransaction<Result>(
  pool: Pick<ConnectionSource, 'connect' | 'runsAgain'>,
  work: (client: pg.PoolClient) => Promise<Result>,
  patience?: Patience,
): Promise<Result> {
  const client = await pool.connect();
  if (underWay.has(pool)) return work(client);
  try {
    return await inTransactionOn(pool, client, work, patience);
  } catch (error) {
    if (!pool.runsAgain?.(client, error)) throw error;
  }
  return inTransactionOn(pool, await pool.connect(), work, patience);
}

async function inTransactionOn<Result>(
  pool: Pick<ConnectionSource, 'connect'>,
  client: pg.PoolClient,
  work: (client: pg.PoolClient) => Promise<Result>,
  patience: Patience | undefined,
): Promise<Result> {
  let broken: Error | undefined;
  try {
    return await unlessSilent(pool, client, run(client, work, patience), patience);
  } catch (error) {
    // On a connection that does not answer, the rollback would wait just as long. Closing the connection rolls back
    // too.
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
  // Not awaited where it can travel with the first statements of the work.
  const begun = Promise.all(beginning(patience).map((text) => client.query(text)));
  begun.catch(() => {});
  if (!sendsAhead(client)) await begun;
  const result = await work(client);
  await begun;
  await client.query('commit').catch((error: Error) => {
    throw isCommitUndecided(error) ? new CommitInDoubt(error) : error;
  });
  return result;
}

/**
 * The statements that begin a transaction. Citus sends the text that a setting came in to the nodes, so each setting for
 * them is a text of its own, without `begin`.
 */
function beginning({ lockMsMax, settings }: Partial<Patience> = {}): string[] {
  const lock = lockMsMax === undefined ? [] : [`set local lock_timeout = ${Math.max(1, Math.round(lockMsMax))}`];
  if (settings === undefined) return [['begin', ...lock].join('; ')];
  return ['begin', ...lock, ...Object.entries(settings).map(([name, value]) => `set local ${name} = ${value}`)];
}

/** @returns why the connection cannot be reused; undefined when it can */
async function rollBack(client: pg.PoolClient): Promise<Error | undefined> {
  try {
    await client.query('rollback');
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/**
 * Runs statements as one transaction in one round trip: `begin`, what `send` sends without waiting, and `commit` are
 * sent together. So a transaction of a few statements interrupts PostgreSQL and this process once, not four times. When
 * a statement fails, PostgreSQL rolls back. The pool must have pipelining connections.
 * @throws the error of the first statement that failed; CommitInDoubt when the connection is lost meanwhile
 */
export async function inOneTrip<Results extends unknown[]>(
  pool: pg.Pool,
  send: (client: pg.PoolClient) => { [Index in keyof Results]: Promise<Results[Index]> },
  patience?: Patience,
): Promise<Results> {
  const client = await pool.connect();
  const first = beginning(patience);
  const sent = sendTogether(client, () => [
    ...first.map((text) => client.query(text)),
    ...send(client),
    client.query('commit'),
  ]);
  const outcomes = await unlessSilent(pool, client, Promise.allSettled(sent), patience);
  const failure = outcomes.find((outcome) => outcome.status === 'rejected')?.reason as Error | undefined;
  const isLost = failure !== undefined && (isCommitUndecided(failure) || isReadTimeout(failure));
  client.release(isLost || isAway(failure) ? failure : undefined);
  if (failure !== undefined) throw isLost ? new CommitInDoubt(failure) : failure;
  return outcomes
    .slice(first.length, -1)
    .map((outcome) => (outcome as PromiseFulfilledResult<unknown>).value) as Results;
}

/** Runs one statement, a transaction of its own. A connection on which it gets no answer is given up. */
export async function inOneStatement<Row extends pg.QueryResultRow>(
  pool: Pick<ConnectionSource, 'connect'>,
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
 * Awaits the work of a connection. While it takes long, PostgreSQL is asked on another connection whether the session
 * is still at work, as it is with a large body on a slow disk. A machine that has stopped or vanished does not answer
 * that either, although the kernel may still confirm what is sent: then the connection is cut, and the work fails with
 * DatabaseSilent.
 */
async function unlessSilent<Result>(
  pool: Pick<ConnectionSource, 'connect'>,
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

/** A session in a transaction holds a lock on its own virtual transaction id, which every role may see. */
async function isSessionAtWork(
  pool: Pick<ConnectionSource, 'connect'>,
  of: pg.PoolClient,
  msMax: number,
): Promise<boolean> {
  const text = `select from pg_locks where locktype = 'virtualxid' and pid = $1::integer and granted`;
  const { rowCount } = await askWithin(pool, { text, values: [processOf(of)] }, msMax);
  return rowCount !== 0;
}

/** A connection that comes later goes back to the pool. @throws DatabaseSilent */
export async function connectWithin(pool: Pick<ConnectionSource, 'connect'>, msMax: number): Promise<pg.PoolClient> {
  const coming = pool.connect();
  return within(coming, msMax, () => new DatabaseSilent(msMax)).catch((error) => {
    coming.then((late) => late.release()).catch(() => {});
    throw error;
  });
}

/** Runs one short statement; cuts the connection if it is not answered in time. @throws DatabaseSilent */
export async function askWithin<Row extends pg.QueryResultRow>(
  pool: Pick<ConnectionSource, 'connect'>,
  statement: pg.QueryConfig,
  msMax: number,
): Promise<pg.QueryResult<Row>> {
  const client = await connectWithin(pool, msMax);
  try {
    const answer = await within(client.query<Row>(statement), msMax, () => new DatabaseSilent(msMax));
    client.release();
    return answer;
  } catch (error) {
    cut(client);
    client.release(error as Error);
    throw error;
  }
}

/**
 * The answers of statements that were sent together in one transaction.
 * @throws the error of the first in order that has failed: those after it only fail because of it
 */
export async function inOrder<Answers extends unknown[]>(
  sent: {
    [Index in keyof Answers]: Promise<Answers[Index]>;
  },
): Promise<Answers> {
  const outcomes = await Promise.allSettled(sent);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return outcomes.map((outcome) => (outcome as PromiseFulfilledResult<unknown>).value) as Answers;
}
