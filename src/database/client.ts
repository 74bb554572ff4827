/** Connections to PostgreSQL whose errors can be told apart from other errors. */
import pg from 'pg';
import { noteConnectionError } from './failures.ts';

/**
 * A client that marks every error of its socket, of its DNS look-up and of TLS as an error of a connection to
 * PostgreSQL. The code of such an error alone does not tell: an error of a file or of another socket can have the same.
 */
export class DatabaseClient extends pg.Client {
  constructor(config: string | pg.ClientConfig) {
    super(config);
    // This listener comes first, before those to which the client itself passes the error.
    this.connection.on('error', noteConnectionError);
  }
}
