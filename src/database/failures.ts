import pg from 'pg';

/** SQLSTATE classes that can clear by themselves, so that a client should send again. */
const passingStates: [RegExp, string][] = [
  [/^08|^57P0|^53300/, 'The database cannot be reached'],
  [/^57014/, 'The database took too long'],
  [/^53/, 'The database has run out of space or memory'],
  [/^25006/, 'The database is read-only'],
  [/^40/, 'The database could not settle concurrent requests'],
];

/** A commit was sent and the connection was lost before its answer: what was written may be stored or not. */
export class CommitInDoubt extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}

/** Too many requests of one organization want the database; the message is a sentence without its full stop. */
export class TooManyWaiting extends Error {}

/** Whether an error says that the connection is gone, by PostgreSQL's own word or without one. */
export function isConnectionLoss(error: Error): boolean {
  return error instanceof pg.DatabaseError ? /^08|^57P0/.test(error.code ?? '') : isConnectionFailure(error);
}

/**
 * Why the database could not serve, in a few words, where that can clear by itself: it is away, full, or was busy.
 * Undefined for an error that the same statement would meet again.
 */
export function passingFailure(error: unknown): string | undefined {
  if (error instanceof CommitInDoubt) return 'The database was lost while it committed';
  if (error instanceof TooManyWaiting) return error.message;
  if (error instanceof pg.DatabaseError) {
    return passingStates.find(([state]) => state.test(error.code ?? ''))?.[1];
  }
  if (isOutOfDescriptors(error)) return 'The server has no file descriptor left for a database connection';
  return error instanceof Error && isConnectionFailure(error) ? 'The database cannot be reached' : undefined;
}

const isOutOfDescriptors = (error: unknown) => /^E[MN]FILE$/.test((error as NodeJS.ErrnoException)?.code ?? '');

/** Socket errors of Node and the sentences that `pg` itself throws when a connection is lost or none comes free. */
function isConnectionFailure(error: NodeJS.ErrnoException): boolean {
  return (
    /^(ECONNREFUSED|ECONNRESET|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT)$/.test(
      error.code ?? '',
    ) ||
    /^(Connection terminated|Query read timeout|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool after calling end)/.test(
      error.message,
    )
  );
}
