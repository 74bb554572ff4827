import pg from 'pg';

/** SQLSTATE classes that can clear by themselves, so that a client should send again. */
const passingStates: [RegExp, string][] = [
  [/^08|^57P0|^53300/, 'The database cannot be reached'],
  [/^57014/, 'The database took too long'],
  [/^53100/, 'The disk of the database is full'],
  [/^53/, 'The database has run out of space or memory'],
  [/^25006/, 'The database is read-only'],
  [/^40/, 'The database could not settle concurrent requests'],
  [/^55P03/, 'Somebody else holds a lock in the database'],
  [/^58/, 'The database could not read or write a file'],
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

/** Whether an error means that the connection is gone, whether PostgreSQL said so or not. */
export function isConnectionLoss(error: Error): boolean {
  if (error instanceof DatabaseSilent || error instanceof CommitInDoubt) return true;
  return error instanceof pg.DatabaseError ? /^08|^57P0/.test(error.code ?? '') : isConnectionFailure(error);
}

/**
 * Whether an error means that the database as a whole takes no writes. It cannot be reached, is starting, is
 * recovering, is a standby, has no connection left, or refuses to log us in, as when its name leads to another machine.
 * Only a new connection meets a refusal of the classes 28 and 3D, never a statement.
 */
export function isAway(error: unknown): boolean {
  if (error instanceof CommitInDoubt || isAbsence(error)) return true;
  if (error instanceof pg.DatabaseError) return /^(08|57P0|53300|25006|28|3D)/.test(error.code ?? '');
  return error instanceof Error && isConnectionFailure(error) && !isPoolFull(error);
}

/** Whether a database that is away can still be read, by connections that exist already. */
export const isReadable = (error: unknown) =>
  error instanceof DatabaseReadOnly ||
  error instanceof DiskFull ||
  (error instanceof pg.DatabaseError && /^(53300|25006)$/.test(error.code ?? ''));

/** Another session holds a lock that the statement needs for longer than the statement may wait. */
export const isLockTimeout = (error: unknown) => error instanceof pg.DatabaseError && error.code === '55P03';

/** PostgreSQL has aborted a transaction in favour of another one: a deadlock or a serialization failure. */
export const isConflict = (error: unknown) => error instanceof pg.DatabaseError && /^40/.test(error.code ?? '');

const isAbsence = (error: unknown): error is Error =>
  [DatabaseSilent, DatabaseAway, DatabaseReadOnly, DiskFull].some((kind) => error instanceof kind);

const isPoolFull = (error: Error) => error.message.startsWith('timeout exceeded when trying to connect');

/**
 * Why the database could not serve, in a few words, if the reason can pass by itself: it is away, full, or was busy.
 * Undefined for an error that the same statement would meet again.
 */
export function passingFailure(error: unknown): string | undefined {
  if (error instanceof CommitInDoubt) return 'The database was lost while it committed';
  if (error instanceof TooManyWaiting) return error.message;
  if (isAbsence(error)) return error.message;
  if (error instanceof ServesNoMore) return error.message.replace(/\.$/, '');
  if (error instanceof pg.DatabaseError) {
    return passingStates.find(([state]) => state.test(error.code ?? ''))?.[1];
  }
  if (isOutOfDescriptors(error)) {
    const what = ofConnections.has(error as Error) ? ' for a database connection' : '';
    return `The server has no file descriptor left${what}`;
  }
  return error instanceof Error && isConnectionFailure(error) ? 'The database cannot be reached' : undefined;
}

const isOutOfDescriptors = (error: unknown) => /^E[MN]FILE$/.test((error as NodeJS.ErrnoException)?.code ?? '');

/** Errors of connections to PostgreSQL itself. Files, and sockets to others, fail with the same codes. */
const ofConnections = new WeakSet<Error>();

/** Marks an error as one of the socket to PostgreSQL; `client.ts` does so for each. */
export function noteConnectionError<Failure extends Error>(error: Failure): Failure {
  ofConnections.add(error);
  return error;
}

/** Errors of a socket to PostgreSQL, and the sentences that `pg` itself throws when a connection is lost or none comes free. */
function isConnectionFailure(error: NodeJS.ErrnoException): boolean {
  return (
    (ofConnections.has(error) &&
      /^(ECONNREFUSED|ECONNRESET|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT)$/.test(
        error.code ?? '',
      )) ||
    /^(Connection terminated|Query read timeout|timeout exceeded when trying to connect|timeout expired|Client has encountered a connection error|Cannot use a pool after calling end)/.test(
      error.message,
    )
  );
}
