import type { Logger } from 'pino';
import { limits } from '../config.ts';
import type { Database } from '../database/database.ts';
import { findKey, type Identity, noteKeyUse } from './store.ts';

/** Looks up the keys of requests in the database, remembering what was found as `limits` say, and notes their use. */
export function openIdentities(database: Database, log: Logger): Identities {
  return createIdentities({
    find: (key) => identify(database, key, log),
    keepMs: limits.keyCacheMsMax,
    entriesMax: limits.keyCacheEntriesMax,
    now: () => performance.now(),
  });
}

interface Options {
  /** The identity behind a key as the database has it now. */
  find(key: string): Promise<Identity | undefined>;
  /** How long an answer is used again; a revoked key stops to open within this time. */
  keepMs: number;
  entriesMax: number;
  /** Milliseconds from any origin. */
  now(): number;
}

/**
 * Looks up keys, remembering what was found for a short time: the SDK sends the same key with every chunk.
 * Requests that come while a key is looked up share the look-up. What is unknown, revoked or failed is not remembered.
 */
export function createIdentities({ find, keepMs, entriesMax, now }: Options) {
  const known = new Map<string, { identity: Promise<Identity | undefined>; until: number }>();

  return function identityOf(key: string): Promise<Identity | undefined> {
    const entry = known.get(key);
    if (entry !== undefined && now() < entry.until) return entry.identity;
    const identity = find(key);
    known.delete(key);
    known.set(key, { identity, until: now() + keepMs });
    // A Map keeps the order of insertion: the first is the oldest.
    if (known.size > entriesMax) known.delete(known.keys().next().value as string);
    const forget = () => {
      if (known.get(key)?.identity === identity) known.delete(key);
    };
    identity.then((found) => found ?? forget(), forget);
    return identity;
  };
}

export type Identities = ReturnType<typeof createIdentities>;

async function identify(database: Database, key: string, log: Logger): Promise<Identity | undefined> {
  const found = await findKey(database, key);
  if (found === undefined) return undefined;
  const { isUseStale, ...identity } = found;
  if (isUseStale) {
    // Nobody waits for it, and a request goes on without it.
    noteKeyUse(database, identity.organizationId, identity.keyId).catch((error) =>
      log.warn({ err: error, keyId: identity.keyId }, 'the use of a key was not noted'),
    );
  }
  return identity;
}
