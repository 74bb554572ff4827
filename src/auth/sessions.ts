import type { Logger } from 'pino';
import { type Actor, theServer } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import { passingFailure } from '../database/failures.ts';
import { type Identities, openIdentities } from './identities.ts';
import type { Identity } from './identity.ts';
import { createKeyLookUp } from './key-look-up.ts';
import { type AuthLimits, authLimits } from './limits.ts';
import { createRefusedSignIns } from './refused-sign-ins.ts';
import {
  deleteSession,
  exchangeLink,
  findSessionFacts,
  findSessions,
  findSignInLinks,
  insertLink,
  insertSession,
  noteRefusedSignIn,
  type RefusedSignIn,
  type SessionFacts,
  type StoredSession,
} from './session-store.ts';
import { isToken, newToken } from './tokens.ts';

/** A session that has just begun: its secret cannot be had again. */
export interface NewSession extends StoredSession {
  token: string;
}

/** Who is in a session is looked up and remembered as a key is; so it ends with its key, as soon as that does. */
export interface Sessions extends Identities {
  /** Begins a session of a key. @returns undefined when the key opens nothing any more */
  begin(identity: Identity, actor: Actor): Promise<NewSession | undefined>;
  /**
   * Begins a session in the place of a link, which is used up.
   * @returns undefined for one that is malformed, unknown, used or over
   * @throws ApiError 503 when the database could not be asked for too long
   */
  exchange(link: string, actor: Actor): Promise<NewSession | undefined>;
  /** What is told of who asks; with a session, until when that lasts. */
  describe(identity: Identity, token: string | undefined): Promise<SessionFacts>;
  /** Ends a session: here at once, on other servers as soon as they look it up again. */
  end(token: string, actor: Actor): Promise<void>;
  /** Notes in the audit log that somebody was not let in. Nobody waits for it; of many, most are only counted. */
  noteRefused(refused: RefusedSignIn): void;
  /** Writes down what is still counted. */
  close(): Promise<void>;
}

interface Options {
  /** How long a session lasts. */
  sessionSeconds: number;
  limits?: Partial<AuthLimits> | undefined;
}

/** Keeps sessions in the database, so that they outlive the server and count on every one. */
export function openSessions(database: Database, log: Logger, { sessionSeconds, ...given }: Options): Sessions {
  const limits = { ...authLimits, ...given.limits };
  const bounds = { ...limits, sessionSeconds };
  const known = openIdentities(database, log, limits, findSessions);
  // Strangers try links: looked up as their keys are, a flood of them takes one statement at a time.
  const links = createKeyLookUp({
    findAll: (tokens) => findSignInLinks(database, tokens, limits),
    isPassing: (error) => passingFailure(error) !== undefined,
    limits,
  });
  const refused = createRefusedSignIns({
    write: (one) => noteRefusedSignIn(database, one),
    report: (error) => log.warn({ err: error }, 'a refused sign-in is not in the audit log'),
    limits,
  });
  return {
    ...known,
    of: async (token) => (isToken('session', token) ? known.of(token) : undefined),
    async begin(identity, actor) {
      const token = newToken('session');
      const stored = await insertSession(database, identity, token, bounds, actor);
      return stored && { ...stored, token };
    },
    async exchange(link, actor) {
      if (!isToken('link', link) || (await links.find(link)) === undefined) return undefined;
      const token = newToken('session');
      const stored = await exchangeLink(database, link, token, bounds, actor);
      return stored && { ...stored, token };
    },
    describe: (identity, token) => findSessionFacts(database, identity, token),
    async end(token, actor) {
      await deleteSession(database, token, actor);
      known.forget(token);
    },
    noteRefused: refused.note,
    close: refused.close,
  };
}

/**
 * The address that signs in when it is opened. The secret stands in its fragment, which a browser sends to nobody; the page exchanges it.
 * @param pageUrl where a browser reaches the server
 */
export function signInLink(pageUrl: string, token: string): string {
  return `${pageUrl.replace(/\/+$/, '')}/#token=${token}`;
}

/**
 * Makes a link's secret that begins one session of a key within `linkSeconds`.
 * @returns undefined when no key that still opens has that id
 */
export async function createLink(
  database: Database,
  keyId: number,
  limits: AuthLimits = authLimits,
  actor: Actor = theServer,
): Promise<{ token: string; expires_at: string } | undefined> {
  const token = newToken('link');
  const expiresAt = await insertLink(database, keyId, token, limits, actor);
  return expiresAt === undefined ? undefined : { token, expires_at: expiresAt };
}
