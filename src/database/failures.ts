import pg from 'pg';
import { isConnectionError, isDriverFailure, isPoolFull } from './driver.ts';
import { hasSqlstate, type Sqlstate, type SqlstateClass, sqlstateClasses, sqlstates } from './sqlstates.ts';

const { connectionException, sessionEnd, transactionRollback } = sqlstateClasses;

/** Errors of PostgreSQL that can clear by themselves, so that a client should send again. The first that fits counts. */
const passingStates: [(Sqlstate | SqlstateClass)[], string][] = [
  [[connectionException, sessionEnd, sqlstates.tooManyConnections], 'The database cannot be reached'],
  [[sqlstates.queryCanceled], 'The database took too long'],
  [[sqlstates.diskFull], 'The disk of the database is full'],
  [[sqlstateClasses.insufficientResources], 'The database has run out of space or memory'],
  [[sqlstates.readOnlySqlTransaction], 'The database is read-only'],
  [[transactionRollback], 'The database could not settle concurrent requests'],
  [[sqlstates.lockNotAvailable], 'Somebody else holds a lock in the database'],
  [[sqlstateClasses.systemError], 'The database could not read or write a file'],
];

/** A commit was sent and the connection was lost before its answer: what was written may be stored or not. */
export class CommitInDoubt extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}

/** Nothing came back on a connection, and PostgreSQL did not answer elsewhere either that it is still at work. */
export class DatabaseSilent extends Error {
  constructor(ms: number) {
    super(`The database has not answered for ${ms} ms`);
  }
}

/** Somebody has found that the database is away, and it is not back yet. */
export class DatabaseAway extends Error {
  constructor() {
    super('The database cannot be reached');
  }
}

/** PostgreSQL answers and takes nothing: it recovers, stands by for another one, or has been set so. */
export class DatabaseReadOnly extends Error {
  constructor() {
    super('The database is read-only');
  }
}

/** Its disk has too little room left to store anything; the message is a sentence without its full stop. It can be read. */
export class DiskFull extends Error {}

/** Too many requests of one organization want the database; the message is a sentence without its full stop. */
export class TooManyWaiting extends Error {}

/** The server may not go on with this database, as standing.ts says; the message is a sentence with its full stop. */
export class ServesNoMore extends Error {}

/** Whether an error says that the connection is gone, by PostgreSQL's own word or without one. */
export function isConnectionLoss(error: Error): boolean {
  if (error instanceof DatabaseSilent || error instanceof CommitInDoubt) return true;
  if (error instanceof pg.DatabaseError) return hasSqlstate(error, connectionException, sessionEnd);
  return isConnectionFailure(error);
}

/**
 * Whether an error says that the database cannot be written to as a whole: it is not reached, starts, recovers, stands by
 * for another one, has no connection left, or refuses those who come, as when its name leads to another machine. A statement
 * meets no refusal of the classes 28 and 3D; only a new connection does.
 */
export function isAway(error: unknown): boolean {
  if (error instanceof CommitInDoubt || isAbsence(error)) return true;
  if (error instanceof pg.DatabaseError) return hasSqlstate(error, ...awayStates);
  return error instanceof Error && isConnectionFailure(error) && !isPoolFull(error);
}

const awayStates: (Sqlstate | SqlstateClass)[] = [
  ...[connectionException, sessionEnd, sqlstates.tooManyConnections, sqlstates.readOnlySqlTransaction],
  ...[sqlstateClasses.invalidAuthorizationSpecification, sqlstateClasses.invalidCatalogName],
];

/** Whether one that is away could still be read, by connections that are there. */
export const isReadable = (error: unknown) =>
  error instanceof DatabaseReadOnly ||
  error instanceof DiskFull ||
  hasSqlstate(error, sqlstates.tooManyConnections, sqlstates.readOnlySqlTransaction);

/** A lock that the statement needs is held by somebody else for longer than it may wait. */
export const isLockTimeout = (error: unknown) => hasSqlstate(error, sqlstates.lockNotAvailable);

/** PostgreSQL has broken a transaction off for the sake of another one: a deadlock, or one that cannot be put in order. */
export const isConflict = (error: unknown) => hasSqlstate(error, transactionRollback);

const isAbsence = (error: unknown): error is Error =>
  [DatabaseSilent, DatabaseAway, DatabaseReadOnly, DiskFull].some((kind) => error instanceof kind);

/**
 * Why the database could not serve, in a few words, where that can clear by itself: it is away, full, or was busy.
 * Undefined for an error that the same statement would meet again.
 */
export function passingFailure(error: unknown): string | undefined {
  if (error instanceof CommitInDoubt) return 'The database was lost while it committed';
  if (error instanceof TooManyWaiting) return error.message;
  if (isAbsence(error)) return error.message;
  if (error instanceof ServesNoMore) return error.message.replace(/\.$/, '');
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
