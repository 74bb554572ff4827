import pg from 'pg';
import { isConnectionError, isDriverFailure, isPoolFull, isUndecidedCommit, tellsOfNode } from './driver.ts';
import { hasSqlstate, type Sqlstate, type SqlstateClass, sqlstateClasses, sqlstates } from './sqlstates.ts';

const { connectionException, sessionEnd, transactionRollback } = sqlstateClasses;

/** Errors of PostgreSQL that can clear by themselves, so that a client should send again. The first that fits counts. */
const passingStates: [(Sqlstate | SqlstateClass)[], string][] = [
  [[sqlstates.tooManyConnections], 'The database has no connection left'],
  [[connectionException, sessionEnd], 'The database cannot be reached'],
  [[sqlstates.queryCanceled], 'The database took too long'],
  [[sqlstates.diskFull], 'The disk of the database is full'],
  [[sqlstateClasses.insufficientResources], 'The database has run out of space or memory'],
  [[sqlstates.readOnlySqlTransaction], 'The database is read-only'],
  [[transactionRollback], 'The database could not settle concurrent requests'],
  [[sqlstates.lockNotAvailable], 'Somebody else holds a lock in the database'],
  [[sqlstateClasses.systemError], 'The database could not read or write a file'],
];

/** A commit was sent, and the connection was lost before its answer: what was written may be stored or not. */
export class CommitInDoubt extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}

/**
 * Nothing came back on a connection, and a look on another connection did not show that PostgreSQL is still at work.
 */
export class DatabaseSilent extends Error {
  constructor(ms: number) {
    super(`The database has not answered for ${ms} ms`);
  }
}

/** The database has been found away, and is not back yet. */
export class DatabaseAway extends Error {
  constructor() {
    super('The database cannot be reached');
  }
}

/** PostgreSQL answers but takes no writes: it is recovering, is a standby, or has been set to read-only. */
export class DatabaseReadOnly extends Error {
  constructor() {
    super('The database is read-only');
  }
}

/**
 * The disk has too little space left to store anything; reads still work. The message is a sentence without its full
 * stop.
 */
export class DiskFull extends Error {}

/** Too many requests of one organization wait for the database. The message is a sentence without its full stop. */
export class TooManyWaiting extends Error {}

/** The server may not go on with this database, as readiness.ts says; the message is a sentence with its full stop. */
export class ServesNoMore extends Error {}

/**
 * Whether one node of a cluster could not serve, while the coordinator goes on: what other nodes have can be read and
 * written. Also true where that node was lost during a commit, which is then CommitInDoubt.
 */
export function isNodeAway(error: unknown): boolean {
  if (error instanceof CommitInDoubt) return isNodeAway(error.cause);
  if (isUndecidedCommit(error)) return true;
  return tellsOfNode(error) && (hasSqlstate(error, connectionException, sessionEnd) || isInternal(error));
}

const isInternal = (error: unknown) => hasSqlstate(error, sqlstates.internalError);

/** Whether a commit that failed with this error may have happened all the same. */
export const isCommitUndecided = (error: Error) => isUndecidedCommit(error) || isConnectionLoss(error);

/** Whether an error means that the connection is gone, whether PostgreSQL said so or not. */
export function isConnectionLoss(error: Error): boolean {
  if (isNodeAway(error)) return false;
  if (error instanceof DatabaseSilent || error instanceof CommitInDoubt) return true;
  if (error instanceof pg.DatabaseError) return hasSqlstate(error, connectionException, sessionEnd);
  return isConnectionFailure(error);
}

/**
 * Whether an error means that the database as a whole takes no writes. It cannot be reached, is starting, is
 * recovering, is a standby, has no connection left, or refuses to log us in, as when its name leads to another machine.
 * Only a new connection meets a refusal of the classes 28 and 3D, never a statement.
 */
export function isAway(error: unknown): boolean {
  if (isNodeAway(error)) return false;
  if (error instanceof CommitInDoubt || isAbsence(error)) return true;
  if (error instanceof pg.DatabaseError) return hasSqlstate(error, ...awayStates);
  return error instanceof Error && isConnectionFailure(error) && !isPoolFull(error);
}

const awayStates: (Sqlstate | SqlstateClass)[] = [
  ...[connectionException, sessionEnd, sqlstates.tooManyConnections, sqlstates.readOnlySqlTransaction],
  ...[sqlstateClasses.invalidAuthorizationSpecification, sqlstateClasses.invalidCatalogName],
];

/** Whether a database that is away can still be read, by connections that exist already. */
export const isReadable = (error: unknown) =>
  error instanceof DatabaseReadOnly ||
  error instanceof DiskFull ||
  hasSqlstate(error, sqlstates.tooManyConnections, sqlstates.readOnlySqlTransaction);

/** Another session holds a lock that the statement needs for longer than the statement may wait. */
export const isLockTimeout = (error: unknown) => hasSqlstate(error, sqlstates.lockNotAvailable);

/** PostgreSQL has aborted a transaction in favour of another one: a deadlock or a serialization failure. */
export const isConflict = (error: unknown) => hasSqlstate(error, transactionRollback);

const isAbsence = (error: unknown): error is Error =>
  [DatabaseSilent, DatabaseAway, DatabaseReadOnly, DiskFull].some((kind) => error instanceof kind);

/**
 * Why the database could not serve, in a few words, if the reason can pass by itself: it is away, full, or was busy.
 * Undefined for an error that the same statement would meet again.
 */
export function passingFailure(error: unknown): string | undefined {
  if (error instanceof CommitInDoubt) return 'The database was lost while it committed';
  if (error instanceof TooManyWaiting) return error.message;
  if (isAbsence(error)) return error.message;
  if (error instanceof ServesNoMore) return error.message.replace(/\.$/, '');
  if (isNodeAway(error)) return 'A node of the database cannot be reached';
  if (error instanceof pg.DatabaseError) {
    return passingStates.find(([states]) => hasSqlstate(error, ...states))?.[1];
  }
  if (isOutOfDescriptors(error)) {
    const what = isConnectionError(error) ? ' for a database connection' : '';
    return `The server has no file descriptor left${what}`;
  }
  return error instanceof Error && isConnectionFailure(error) ? 'The database cannot be reached' : undefined;
}

const isOutOfDescriptors = (error: unknown) => /^E[MN]FILE$/.test((error as NodeJS.ErrnoException)?.code ?? '');

/** Errors of a socket to PostgreSQL, and the sentences that `pg` itself throws when a connection is lost or none comes free. */
function isConnectionFailure(error: NodeJS.ErrnoException): boolean {
  return (
    (isConnectionError(error) &&
      /^(ECONNREFUSED|ECONNRESET|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT)$/.test(
        error.code ?? '',
      )) ||
    isDriverFailure(error)
  );
}
