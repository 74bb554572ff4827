import type { Logger } from 'pino';
import type { Database } from '../database/database.ts';
import { passingFailure } from '../database/failures.ts';
import type { FoundKey, Identity } from './identity.ts';
import { createKeyLookUp } from './key-look-up.ts';
import { type AuthLimits, authLimits } from './limits.ts';
import { findKeyOwners, noteKeyUse } from './store.ts';

export interface Identities {
  /**
   * Who a key belongs to; undefined for one that is malformed, unknown, revoked or expired.
   * @throws ApiError 503 when the key is not known and the database could not be asked for too long
   */
  of(key: string): Promise<Identity | undefined>;
  /** The organization of a key that is remembered: whoever sends it is no stranger. Costs one look into a map. */
  organizationOf(key: string): string | undefined;
  /** Forgets all keys, or one of them: somebody has changed them in the database. */
  forget(key?: string): void;
}

/** Finds who each of some keys, or of other secrets that stand for a key, belongs to, in their order. */
export type FindAll = (
  database: Database,
  secrets: readonly string[],
  limits: AuthLimits,
) => Promise<(FoundKey | undefined)[]>;

/**
 * Looks up the keys of requests in the database, remembering what was found as `limits` say, and notes their use.
 * @param findAll for secrets of another kind
 */
export function openIdentities(
  database: Database,
  log: Logger,
  given?: Partial<AuthLimits>,
  findAll: FindAll = findKeyOwners,
): Identities {
  const limits = { ...authLimits, ...given };
  return createIdentities({
    findAll: async (secrets) => noteUse(database, await findAll(database, secrets, limits), log, limits),
    isPassing: (error) => passingFailure(error) !== undefined,
    limits,
    now: () => performance.now(),
  });
}

interface Options {
  /** The identities behind some keys as the database has them now, in the order of the keys. */
  findAll(keys: string[]): Promise<(Identity | undefined)[]>;
  /** Whether the same statement may work in a while. */
  isPassing(error: unknown): boolean;
  limits: AuthLimits;
  /** Milliseconds from any origin. */
  now(): number;
}

/** A key that the database knew when it was last asked. */
interface KnownKey {
  organizationId: string;
  identity: Promise<Identity>;
  /** When that question was sent: what was revoked before it is not among the known. */
  askedAt: number;
  /** Until then the key is used without a question. */
  freshUntil: number;
}

/**
 * Looks up keys, remembering what was found for a short time: the SDK sends the same key with every chunk.
 * Requests that come while a key is looked up share the look-up. What is unknown, revoked or failed is not remembered, so
 * that unknown keys never push out known ones. While the database cannot be asked, a key that was known goes on opening for
 * `keyOutageMsMax`.
 */
export function createIdentities({ findAll, isPassing, limits, now }: Options): Identities {
  const known = new Map<string, KnownKey>();
  const lookUp = createKeyLookUp({ findAll, isPassing, limits });

  function remember(key: string, found: Identity | undefined, askedAt: number): void {
    known.delete(key);
    if (found === undefined) return;
    const { organizationId } = found;
    const freshUntil = askedAt + limits.keyCacheMsMax;
    known.set(key, { organizationId, identity: Promise.resolve(found), askedAt, freshUntil });
    // A Map keeps the order of insertion: the first was confirmed the longest time ago.
    if (known.size > limits.keyCacheEntriesMax) known.delete(known.keys().next().value as string);
  }

  async function find(key: string, look: (key: string) => Promise<Identity | undefined>) {
    const askedAt = now();
    const found = await look(key);
    remember(key, found, askedAt);
    return found;
  }

  async function renew(key: string, entry: KnownKey): Promise<Identity | undefined> {
    const isWithinOutage = now() < entry.askedAt + limits.keyOutageMsMax;
    if (!isWithinOutage) return find(key, lookUp.find);
    const renewed = find(key, lookUp.renew);
    const answer = await withinMs(renewed, limits.keyRenewMsMax).catch((error) => {
      if (!isPassing(error)) throw error;
      return undefined;
    });
    if (answer !== undefined) return answer.found;
    // The question goes on, and what it is answered counts at once.
    entry.freshUntil = now() + limits.keyCacheMsMax;
    return entry.identity;
  }

  return {
    of(key) {
      const entry = known.get(key);
      if (entry === undefined) return find(key, lookUp.find);
      return now() < entry.freshUntil ? entry.identity : renew(key, entry);
    },
    organizationOf: (key) => known.get(key)?.organizationId,
    forget: (key) => void (key === undefined ? known.clear() : known.delete(key)),
  };
}

/** What a look-up has found; undefined when it takes longer. */
function withinMs<Found>(lookUp: Promise<Found>, ms: number): Promise<{ found: Found } | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    const settled = (found: Found) => resolve({ found });
    lookUp.then(settled, reject).finally(() => clearTimeout(timer));
  });
}

/** Notes the use of keys that was noted long ago. Nobody waits for it, and a request goes on without it. */
function noteUse(
  database: Database,
  found: (FoundKey | undefined)[],
  log: Logger,
  limits: AuthLimits,
): (Identity | undefined)[] {
  return found.map((one) => {
    if (one === undefined) return undefined;
    const { isUseStale, ...identity } = one;
    if (isUseStale) {
      noteKeyUse(database, identity.organizationId, identity.keyId, limits).catch((error) =>
        log.warn({ err: error, keyId: identity.keyId }, 'the use of a key was not noted'),
      );
    }
    return identity;
  });
}
