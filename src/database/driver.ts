/**
 * What the server takes of `pg`, `pg-pool` and `pg-copy-streams` beyond what their documentation promises: members that are their own
 * affair, and errors that nothing but their text tells apart. Nothing else in src leans on such things. Each docstring says on which
 * one it leans; test/database/driver.test.ts holds the installed release to that.
 */
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import pg from 'pg';
import type { Sqlstate } from './sqlstates.ts';

/** What a client of `pg` has and its types lack. `stream` is the socket, or that of TLS upon it. */
interface Inside {
  connection: { stream: Socket };
  processID: number;
  secretKey: number;
  host: string;
  port: number;
}

const inside = (client: pg.ClientBase) => client as unknown as Inside;

/** Errors that a connection to PostgreSQL has met itself. Files, and sockets to others, fail with the same codes. */
const ofConnections = new WeakSet<object>();

/** Whether it is an error of the socket of a `DatabaseClient`, of the look-up of its host's name or of TLS. */
export const isConnectionError = (error: unknown) => ofConnections.has(error as object);

/** Makes an error one of a connection to PostgreSQL. */
export function noteConnectionError<Failure extends Error>(error: Failure): Failure {
  ofConnections.add(error);
  return error;
}

/**
 * A client that marks every error of its socket, of its DNS look-up and of TLS as an error of a connection to
 * PostgreSQL. The code of such an error alone does not tell: an error of a file or of another socket can have the same.
 *
 * Leans on `client.connection`, which is there when the constructor returns and emits `error` with the error of the socket itself.
 * This listener comes first, before those to which the client itself passes the error.
 */
export class DatabaseClient extends pg.Client {
  constructor(config: string | pg.ClientConfig) {
    super(config);
    this.connection.on('error', noteConnectionError);
  }
}

/**
 * Runs what sends several statements without waiting, and gives all of it to the system in one call, so that it travels together.
 *
 * Leans on `client.connection.stream`, which is the socket and can hold back what is written. The client must be one with the option
 * `pipeline`: another one writes its second statement when the first has been answered.
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

/**
 * Cuts a connection at once, whatever runs on it.
 * @param why what the statements under way fail with; they fail with an error of `pg` when it is left out
 *
 * Leans on `client.connection.stream`, and on the client failing its statements with the very error that ended the socket.
 */
export function cut(client: pg.ClientBase, why?: Error): void {
  inside(client).connection.stream.destroy(why);
}

/** The process of PostgreSQL that the connection was made to. Leans on `client.processID`. */
export const processOf = (client: pg.ClientBase): number => inside(client).processID;

/** PostgreSQL's message that asks for the end of what a session runs. */
const cancelRequestCode = 80_877_102;
const cancelMsMax = 2_000;

/**
 * Asks PostgreSQL to cancel what a connection runs, by a connection of its own, which PostgreSQL closes when it has read 16 bytes. It
 * takes them without TLS on every port. Nothing tells whether it did; a request that comes late meets the next statement.
 *
 * Leans on `client.processID` and `client.secretKey`, which PostgreSQL gave at the start, and on the place that the socket leads to.
 * `pg` has a method `cancel`, which asks by the name of the host again: that may lead to another machine by now.
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
  // Where nobody answers, the statement ends by its own bound.
  socket.setTimeout(cancelMsMax, () => socket.destroy());
  socket.unref();
}

/**
 * Runs a COPY, and stops the clock of `query_timeout` when it is over.
 *
 * Leans on `callback`, which the client hangs on whatever it is given to run, and which stops that clock. `pg-copy-streams` never
 * calls it: without this, the clock would fail a COPY that was over long ago, with an error that nobody hears.
 */
export function runCopy<Copy extends pg.Submittable & Readable>(client: pg.ClientBase, copy: Copy): Copy {
  const output: Copy & { callback?: () => void } = client.query(copy);
  const stopClock = () => output.callback?.();
  // A connection can still break between the last row and PostgreSQL's word that it is ready again.
  output.on('error', stopClock).on('end', stopClock).on('close', stopClock);
  return output;
}

/**
 * An error as PostgreSQL sends it, for what stands for one of PostgreSQL's: whoever meets it does what it does then.
 *
 * Leans on the constructor of `DatabaseError`, which takes the length of a message that nobody has sent.
 */
export function databaseError(message: string, code: Sqlstate): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError(message, 0, 'error'), { code });
}

/** Takes the client out of the error of an idle one, where `pg-pool` puts it with the key that cancels its statements. */
export function withoutClient(error: Error & { client?: unknown }): Error {
  delete error.client;
  return error;
}

/** No answer came within `query_timeout`. The statement may still run. Leans on the text of `pg`. */
export const isReadTimeout = (error: unknown) => textOf(error) === 'Query read timeout';

/** The pool had no connection free in time. Leans on the text of `pg-pool`. */
export const isPoolFull = (error: unknown) => textOf(error).startsWith(poolFull);

/**
 * `pg` or `pg-pool` has lost a connection, could not make one, or has none to give; neither sets a code. Leans on their texts.
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

/** PgBouncer takes no more clients, and its code does not say so. Leans on its text. */
export const isPoolerFull = (error: unknown) => textOf(error).includes('no more connections allowed');

/** PgBouncer takes no transaction in statement mode: it calls that a violation of the protocol. Leans on its text. */
export const isRefusedByPoolingMode = (error: unknown) => textOf(error).includes('pooling mode');

const textOf = (error: unknown) => (error instanceof Error ? error.message : '');
