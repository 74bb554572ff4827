import type { Logger } from 'pino';
import type { Database } from '../database/database.ts';
import { passingFailure } from '../database/failures.ts';
import type { FoundKey, Identity } from './identity.ts';
import { createKeyLookUp } from './key-look-up.ts';
import { type AuthLimits, authLimits } from './limits.ts';
import { findKeyOwners, noteKeyUse } from './store.ts';

export interface Identities {
  /**
   * The identity behind a key; undefined for a key that is malformed, unknown, revoked or expired.
   * @throws ApiError 503 when the key is not cached and the database stays away for `strangerWaitMsMax`
   */
  of(key: string): Promise<Identity | undefined>;
  /** The organization of a key that is in the cache; undefined for any other. It never asks the database. */
  organizationOf(key: string): string | undefined;
  /** Removes one key from the cache, or all of them, after a change in the database. */
  forget(key?: string): void;
}

/** Looks up secrets: keys, or tokens that stand for a key. @returns their identities in the order of the secrets */
export type FindAll = (
  database: Database,
  secrets: readonly string[],
  limits: AuthLimits,
) => Promise<(FoundKey | undefined)[]>;

/**
 * Looks up the keys of requests in the database, caches the results within `limits`, and records when a key was used.
 * @param findAll the look-up; sessions pass one of their own for tokens
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
  /** The identities behind keys as the database has them now, in the order of the keys. */
  findAll(keys: string[]): Promise<(Identity | undefined)[]>;
  /** Whether an error is temporary, so that a retry may succeed. */
  isPassing(error: unknown): boolean;
  limits: AuthLimits;
  /** Milliseconds from any origin. */
  now(): number;
}

/** A cache entry: a key that the database knew when it was last asked. */
interface KnownKey {
  organizationId: string;
  identity: Promise<Identity>;
  /** When the look-up was sent. The key was not revoked before that. */
  askedAt: number;
  /** Until then the entry is used without a new look-up. */
  freshUntil: number;
}

/**
 * Looks up keys and caches them for a short time, since the SDK sends the same key with every chunk. Requests that arrive
 * during a look-up of their key share it. Only valid keys are cached, so unknown keys never evict known ones. While the
 * database is away, a cached key stays valid for `keyOutageMsMax`.
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
    // A Map keeps the order of insertion, so the first entry is the one confirmed longest ago.
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
    // The look-up goes on in the background, and its result replaces this entry as soon as it arrives.
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

/** Waits for a look-up, at most so many milliseconds. @returns undefined when it takes longer; the look-up goes on */
function withinMs<Found>(lookUp: Promise<Found>, ms: number): Promise<{ found: Found } | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    const settled = (found: Found) => resolve({ found });
    lookUp.then(settled, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * Records the use of keys whose last record is old. It runs in the background; when it fails, requests are not
 * affected.
 */
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
