/**
 * The messages between the process that holds the sockets and those that serve. After a reload the two may be of
 * different releases. So a message never changes its meaning, a new one gets a new name, and an unknown one is ignored.
 */

/** Where the database is. Sent to each process that serves, as soon as it is known. */
export interface DatabaseAddresses {
  connectionString: string;
  /** The same for the role that owns the tables. */
  ownerUrl: string;
  /** Where the data is, for people; contains no secret. */
  place: string;
  /** The login belongs to this server alone, so its password may be set to that of the address. */
  ownsLogin: boolean;
}

export type ToServer =
  | { type: 'database'; addresses: DatabaseAddresses }
  /** New processes serve now: accept no new connections, and end when the present ones have closed. */
  | { type: 'hand over' };

export type FromServer =
  /** It accepts connections. */
  | { type: 'serving' }
  /** The database is reached and ready to be used. */
  | { type: 'ready' }
  /** It cannot start, and a retry would not help; it ends now. */
  | { type: 'refused'; why: string };

/** How a process that serves was started. */
export interface Part {
  /** Its file descriptors of the sockets. A socket has several, so that more connections are accepted in a turn. */
  descriptors: number[];
  /** It makes the first key and prints the welcome. */
  isFirst: boolean;
  /** It serves only when the database is ready to be used, because other processes serve meanwhile. */
  preparesFirst: boolean;
  /** The sockets stay open when the whole server ends (systemd holds them). */
  areHeldElsewhere: boolean;
}

const partVariable = 'METROLOGY_SERVER_PART';

/** The variables of the environment that tell a process its part. */
export function environmentOf(part: Part): Record<string, string> {
  return { [partVariable]: JSON.stringify(part) };
}

/** The part of this process; undefined when it was not started by another process of this server. */
export function partIn(environment: Record<string, string | undefined>): Part | undefined {
  const text = environment[partVariable];
  return text === undefined || process.send === undefined ? undefined : (JSON.parse(text) as Part);
}
