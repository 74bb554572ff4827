/**
 * What the process that holds the sockets and those that serve tell each other. The two may be of different releases after
 * a reload, so a message never changes its meaning; what is new gets a new name, and what is unknown is not heeded.
 */

/** Where the database is. Sent to each process that serves, as soon as it is known. */
export interface DatabaseAddresses {
  connectionString: string;
  /** The same for the role that owns the tables. */
  ownerUrl: string;
  /** Where the data is, for people: no secret in it. */
  place: string;
  /** The login is this server's own and has the password of its address, whatever it was before. */
  ownsLogin: boolean;
}

export type ToServer =
  | { type: 'database'; addresses: DatabaseAddresses }
  /** Others serve by now: take no new connections, and end when those that are there have gone. */
  | { type: 'hand over' };

export type FromServer =
  /** It takes connections. */
  | { type: 'serving' }
  /** The database is there and fit to be used. */
  | { type: 'ready' }
  /** It cannot start, and waiting would not help; it ends now. */
  | { type: 'refused'; why: string };

/** How a process that serves was started. */
export interface Part {
  /** Its file descriptors of the sockets: several for each, and each of them accepts by itself. */
  descriptors: number[];
  /** It makes the first key and says where everything is. */
  isFirst: boolean;
  /** It serves only once the database is fit to be used: others serve meanwhile. */
  preparesFirst: boolean;
  /** The sockets stay open when the whole server ends. */
  areHeldElsewhere: boolean;
}

const partVariable = 'METROLOGY_SERVER_PART';

/** What a process is told about its part through its environment. */
export function environmentOf(part: Part): Record<string, string> {
  return { [partVariable]: JSON.stringify(part) };
}

/** The part of this process; undefined for one that somebody else has started. */
export function partIn(environment: Record<string, string | undefined>): Part | undefined {
  const text = environment[partVariable];
  return text === undefined || process.send === undefined ? undefined : (JSON.parse(text) as Part);
}
