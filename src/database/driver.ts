/**
 * Everything of `pg`, `pg-pool` and `pg-copy-streams` that the server uses although their documentation does not promise it: internal
 * members, and errors that only their text tells apart. No other file of src uses such things. Each docstring says on which of them
 * its function relies; test/database/driver.test.ts checks that the installed releases still have them.
 */
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import pg from 'pg';
import type { Sqlstate } from './sqlstates.ts';

/** Members of a client of `pg` that its types do not declare. `stream` is the socket, or the TLS socket over it. */
interface Inside {
  connection: { stream: Socket };
  pipeline: boolean;
  processID: number;
  secretKey: number;
  host: string;
  port: number;
}

const inside = (client: pg.ClientBase) => client as unknown as Inside;

/** The errors that connections to PostgreSQL have had. Files and other sockets fail with the same codes, so a code alone is not enough. */
const ofConnections = new WeakSet<object>();

/** Whether it is an error of the socket of a `DatabaseClient`, of its DNS look-up or of TLS. */
export const isConnectionError = (error: unknown) => ofConnections.has(error as object);

/** Marks an error as one of a connection to PostgreSQL, for `isConnectionError`. */
export function noteConnectionError<Failure extends Error>(error: Failure): Failure {
  ofConnections.add(error);
  return error;
}

/**
 * A client that marks every error of its socket, of its DNS look-up and of TLS for `isConnectionError`.
 *
 * Relies on `client.connection`: it exists when the constructor returns, and it emits `error` with the error of the socket itself.
 * This listener is the first one, so that the error is marked before the client passes it on.
 */
export class DatabaseClient extends pg.Client {
  constructor(config: string | pg.ClientConfig) {
    super(config);
    this.connection.on('error', noteConnectionError);
  }
}

/**
 * Calls `send`, which sends several statements without waiting for answers, and writes all of them to the socket in one system call.
 * The client must have the option `pipeline`; without it a client writes its second statement only when the first has been answered.
 *
 * Relies on `client.connection.stream`: it is the socket, which can be corked.
 */
export function sendTogether<Sent>(client: pg.ClientBase, send: () => Sent): Sent {
  const { stream } = inside(client).connection;
  stream.cork();
  try {
    return send();
  } finally {
    stream.uncork();
  }
}

/** Whether the client writes a statement before the one before is answered. Relies on `client.pipeline`, the option of that name. */
export const sendsAhead = (client: pg.ClientBase): boolean => inside(client).pipeline;

/**
 * Cuts a connection at once, even if a statement runs on it.
 * @param why the error of the statements that run; without it they fail with an error of `pg`
 *
 * Relies on `client.connection.stream`, and on this: the client fails its statements with the same error that ended the socket.
 */
export function cut(client: pg.ClientBase, why?: Error): void {
  inside(client).connection.stream.destroy(why);
}

/** The id of the PostgreSQL process behind the connection. Relies on `client.processID`. */
export const processOf = (client: pg.ClientBase): number => inside(client).processID;

/** The code of PostgreSQL's message CancelRequest. */
const cancelRequestCode = 80_877_102;
const cancelMsMax = 2_000;

/**
 * Asks PostgreSQL to cancel the statement that runs on a connection. The request has 16 bytes and goes over a new connection, without
 * TLS, which PostgreSQL accepts on every port and closes itself. There is no answer, so nobody knows whether the statement was
 * cancelled. A request that comes late can cancel the next statement of the connection.
 *
 * Relies on `client.processID` and `client.secretKey`, which PostgreSQL sends at the start of a connection, and on the remote address of
 * the socket. `pg` has a method `cancel`, but it looks the name of the host up again, and that may lead to another machine by now.
 */
export function askToCancel(client: pg.ClientBase): void {
  const { processID, secretKey, host, port, connection } = inside(client);
  const { remoteAddress, remotePort } = connection.stream;
  const socket =
    remoteAddress === undefined
      ? connect({ path: `${host}/.s.PGSQL.${port}` })
      : connect({ host: remoteAddress, port: remotePort ?? port });
  const message = Buffer.alloc(16);
  message.writeInt32BE(message.length, 0);
  message.writeInt32BE(cancelRequestCode, 4);
  message.writeInt32BE(processID, 8);
  message.writeInt32BE(secretKey, 12);
  socket.on('error', () => {}).end(message);
  // If PostgreSQL does not take the request, the statement ends by its own time-out.
  socket.setTimeout(cancelMsMax, () => socket.destroy());
  socket.unref();
}

/**
 * Runs a COPY, and stops the timer of `query_timeout` when the COPY is over.
 *
 * Relies on `callback`: the client sets it on everything that it is given to run, and calling it stops that timer. `pg-copy-streams`
 * never calls it. Without this, the timer would later fail a COPY that has long been over, with an error that has no listener.
 */
export function runCopy<Copy extends pg.Submittable & Readable>(client: pg.ClientBase, copy: Copy): Copy {
  const output: Copy & { callback?: () => void } = client.query(copy);
  const stopTimer = () => output.callback?.();
  // `error` and `close` too: a connection can still break between the last row and PostgreSQL's message that it is ready again.
  output.on('error', stopTimer).on('end', stopTimer).on('close', stopTimer);
  return output;
}

/**
 * Makes an error that looks like one sent by PostgreSQL, so that callers handle it like that one.
 *
 * Relies on the constructor of `DatabaseError`. Its second argument is the length of PostgreSQL's message; here there is none.
 */
export function databaseError(message: string, code: Sqlstate): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError(message, 0, 'error'), { code });
}

/**
 * Removes `client` from the error of an idle client, so that it never gets into a log. Relies on `pg-pool` setting it there; it holds the
 * secret key that cancels statements.
 */
export function withoutClient(error: Error & { client?: unknown }): Error {
  delete error.client;
  return error;
}

/** No answer came within `query_timeout`. The statement may still run. Relies on the text of `pg`. */
export const isReadTimeout = (error: unknown) => textOf(error) === 'Query read timeout';

/** The pool had no connection free in time. Relies on the text of `pg-pool`. */
export const isPoolFull = (error: unknown) => textOf(error).startsWith(poolFull);

/**
 * `pg` or `pg-pool` has lost a connection, could not make one, or has none free; these errors have no code. Relies on their texts.
 */
export const isDriverFailure = (error: unknown) => failures.some((text) => textOf(error).startsWith(text));

const poolFull = 'timeout exceeded when trying to connect';
const failures = [
  'Connection terminated',
  'Query read timeout',
  poolFull,
  'timeout expired',
  'Client has encountered a connection error',
  'Cannot use a pool after calling end',
];

/** PgBouncer takes no more clients; its error code does not say so. Relies on its text. */
export const isPoolerFull = (error: unknown) => textOf(error).includes('no more connections allowed');

/** PgBouncer refuses a transaction in statement mode, with the code of a protocol violation. Relies on its text. */
export const isRefusedByPoolingMode = (error: unknown) => textOf(error).includes('pooling mode');

/**
 * In a cluster, the coordinator tells of another node that it cannot reach, or whose session has ended. Our own connection goes on. Its
 * error code is that of a lost connection, so relies on Citus's texts, which are the same in all languages.
 */
export const tellsOfNode = (error: unknown) =>
  error instanceof pg.DatabaseError &&
  (error.message.startsWith('connection to the remote node') ||
    error.message.startsWith('failure on connection marked as essential') ||
    (error.where ?? '').includes('while executing command on'));

/**
 * In a cluster, a node was lost after the coordinator had told it to commit: what was written there may be stored or not. The code is
 * that of an internal error, so relies on Citus's text.
 */
export const isUndecidedCommit = (error: unknown) =>
  error instanceof pg.DatabaseError && error.message.startsWith('could not commit transaction for shard');

const textOf = (error: unknown) => (error instanceof Error ? error.message : '');
