/** Connections to PostgreSQL whose errors are known to be theirs. */
import pg from 'pg';
import { noteConnectionError } from './failures.ts';

/**
 * A client of which every error of its socket, of the look-up of its host's name and of TLS is noted as one of a connection to
 * PostgreSQL: by its code alone it could as well be that of a file, or of a socket to somebody else.
 */
export class DatabaseClient extends pg.Client {
  constructor(config: string | pg.ClientConfig) {
    super(config);
    // It is heard before whoever the client itself tells of it.
    this.connection.on('error', noteConnectionError);
  }
}
