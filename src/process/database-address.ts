import { createHmac } from 'node:crypto';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { runningEmbeddedPostgres, startEmbeddedPostgres } from '../database/embedded.ts';
import { placeOf, readAddress, withLogin } from '../lib/postgres-address.ts';
import type { DatabaseAddresses } from './messages.ts';

/** Where the database is, and how to leave it again. */
export interface DatabaseAddress extends DatabaseAddresses {
  close(): Promise<void>;
}

/**
 * The PostgreSQL of DATABASE_URL, reached or not; or the embedded one in DATA_DIR, which is started and accepts connections.
 * @param options.mayJoin for a command beside a running server: use the embedded PostgreSQL that the server has started.
 * @throws when the embedded one does not start or belongs to another server
 */
export async function findDatabase(
  config: Config,
  log: Logger,
  options: { mayJoin: boolean },
): Promise<DatabaseAddress> {
  if (config.DATABASE_URL !== undefined) {
    const connectionString = config.DATABASE_URL;
    const ownerUrl = config.MIGRATION_DATABASE_URL ?? connectionString;
    const place = placeOf(connectionString);
    return { connectionString, ownerUrl, place, ownsLogin: false, close: async () => {} };
  }
  const joined = options.mayJoin ? await runningEmbeddedPostgres(config.DATA_DIR) : undefined;
  const embedded = joined === undefined ? await startEmbeddedPostgres({ dataDir: config.DATA_DIR, log }) : undefined;
  const ownerUrl = joined ?? (embedded?.connectionString as string);
  return {
    connectionString: loginBeside(ownerUrl),
    ownerUrl,
    place: `${embedded?.dataDir ?? config.DATA_DIR} (embedded PostgreSQL 18)`,
    ownsLogin: embedded !== undefined,
    close: async () => embedded?.stop(),
  };
}

/**
 * The server's own login in the embedded PostgreSQL. Its password follows from that of the superuser, which does not follow
 * from it: nothing more has to be stored.
 */
function loginBeside(ownerUrl: string): string {
  const { password = '' } = readAddress(ownerUrl);
  return withLogin(ownerUrl, embeddedLogin, createHmac('sha256', password).update(embeddedLogin).digest('base64url'));
}

const embeddedLogin = 'metrology_app';
