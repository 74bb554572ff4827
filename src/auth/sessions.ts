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

/** A session that has just begun, with its token, which cannot be shown again. */
export interface NewSession extends StoredSession {
  token: string;
}

/** Sessions are looked up and cached as keys are, so a session ends with its key, and within the same time. */
export interface Sessions extends Identities {
  /** Begins a session of a key. @returns undefined when the key is not valid any more */
  begin(identity: Identity, actor: Actor): Promise<NewSession | undefined>;
  /**
   * Exchanges a link for a session; the link cannot be used again.
   * @returns undefined for a link that is malformed, unknown, used or expired
   * @throws ApiError 503 when the database stays away for `strangerWaitMsMax`
   */
  exchange(link: string, actor: Actor): Promise<NewSession | undefined>;
  /** Describes who sends a request and, when it has a session, when that ends. */
  describe(identity: Identity, token: string | undefined): Promise<SessionFacts>;
  /** Ends a session: on this server at once, on others with their next look-up (`keyCacheMsMax`). */
  end(token: string, actor: Actor): Promise<void>;
  /** Writes a refused sign-in into the audit log, in the background. Beyond `refusedSignInsMax` they are only counted. */
  noteRefused(refused: RefusedSignIn): void;
  /** Writes the counts of refused sign-ins that are not in the audit log yet. */
  close(): Promise<void>;
}

interface Options {
  /** How long a session lasts. */
  sessionSeconds: number;
  limits?: Partial<AuthLimits> | undefined;
}

/** Keeps sessions in the database, so that they survive a restart and are valid on every server. */
export function openSessions(database: Database, log: Logger, { sessionSeconds, ...given }: Options): Sessions {
  const limits = { ...authLimits, ...given.limits };
  const bounds = { ...limits, sessionSeconds };
  const known = openIdentities(database, log, limits, findSessions);
  // Strangers may try links. They are looked up in batches, as keys are, so a flood of them uses one statement at a time.
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
 * The address that signs in when a browser opens it. The token is in its fragment, which a browser never sends; the
 * script of the page exchanges it for a session.
 * @param pageUrl the address at which a browser reaches the server
 */
export function signInLink(pageUrl: string, token: string): string {
  return `${pageUrl.replace(/\/+$/, '')}/#token=${token}`;
}

/**
 * Makes the token of a link, which can begin one session of a key within `linkSeconds`.
 * @returns undefined when no valid key has that id
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
