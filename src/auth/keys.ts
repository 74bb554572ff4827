import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Config } from '../config.ts';
import { contract } from '../contract.ts';
import { type Actor, theServer } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import { hasSqlstate, sqlstates } from '../database/sqlstates.ts';
import { makeFolder } from '../lib/make-folder.ts';
import { isMistyped, keyPrefix, newApiKey } from './api-key.ts';
import type { Scope } from './identity.ts';
import { ensureUser } from './people-store.ts';
import { createLink } from './sessions.ts';
import { findIdentity, hasUsableKey, insertKey, insertSuccessor, type KeyEnd } from './store.ts';

export const defaultOrganization = 'default';
export const defaultUser = 'operator';

/** What a key may do, and for how long; everything and for ever, when it is not said. */
export interface KeyTerms {
  scopes?: readonly Scope[];
  end?: KeyEnd;
}

/** Makes a key for a user of an organization (both made when missing) and returns it; it cannot be had again. */
export async function createKey(
  database: Database,
  organization: string,
  user = defaultUser,
  terms: KeyTerms = {},
  actor: Actor = theServer,
): Promise<string> {
  const owner = await ensureUser(database, organization, user, actor);
  const key = newApiKey();
  await insertKey(database, owner, key, terms, { actor });
  return key;
}

/** Why something is no key, in a sentence that does not show it; undefined for what may be one. */
export function keyFault(key: string): string | undefined {
  const { keyLengthMin, keyLengthMax } = contract;
  if (!new RegExp(`^[\\x21-\\x7e]{${keyLengthMin},${keyLengthMax}}$`).test(key))
    return `A key has ${keyLengthMin} to ${keyLengthMax} ASCII characters without spaces, on one line.`;
  return isMistyped(key) ? `This key begins with ${keyPrefix}, but it is cut or mistyped.` : undefined;
}

/**
 * Stores a key that somebody holds already, of any form, for a user of an organization.
 * @returns its id in the list
 * @throws with a sentence, which never shows the key, when it is none or is stored already
 */
export async function importKey(
  database: Database,
  key: string,
  organization: string,
  user: string,
  terms: KeyTerms,
  actor: Actor = theServer,
): Promise<number> {
  const fault = keyFault(key);
  if (fault !== undefined) throw new Error(fault);
  const owner = await ensureUser(database, organization, user, actor);
  const id = await insertKey(database, owner, key, terms, { actor, action: 'key.import' });
  if (id === undefined) throw new Error('This key is stored already.');
  return id;
}

/**
 * Makes the successor of a key; both open until the overlap is over, then the new one alone.
 * @throws with a sentence when the key does not open or has a successor already
 */
export async function rotateKey(
  database: Database,
  keyId: number,
  overlapSeconds: number,
  end?: KeyEnd,
  actor: Actor = theServer,
) {
  const key = newApiKey();
  const made = await insertSuccessor(database, keyId, key, overlapSeconds, end, actor).catch((error) => {
    // Somebody else has rotated it at the same time.
    if (hasSqlstate(error, sqlstates.uniqueViolation)) return undefined;
    throw error;
  });
  if (made === undefined) throw new Error(`There is no key ${keyId} that still opens and was not rotated yet.`);
  return { key, ...made };
}

/** How a person who has just started the server gets at a key. */
export type ProvidedKey = (
  | { kind: 'bootstrap' | 'existing' }
  | { kind: 'new'; key: string }
  | { kind: 'file'; path: string }
) & {
  /** Signs in to the page once, soon: of a key that this start has stored. */
  linkToken?: string | undefined;
};

/**
 * Sees to it that the default organization can be used: the key of BOOTSTRAP_API_KEY exists, when it is set; otherwise
 * there is at least one key. A new one is shown to a terminal; where there is none it is written to DATA_DIR/api-key,
 * before it is stored, so that no crash in between leaves a key that nobody has. With a key that is stored here comes a link.
 * @throws when BOOTSTRAP_API_KEY is mistyped, has ended, was revoked or belongs to another organization, or the file
 *   cannot be written.
 */
export async function provideKey(
  database: Database,
  config: Pick<Config, 'BOOTSTRAP_API_KEY' | 'DATA_DIR'>,
  hasTerminal: boolean,
): Promise<ProvidedKey> {
  const owner = await ensureUser(database, defaultOrganization, defaultUser);
  if (config.BOOTSTRAP_API_KEY !== undefined) {
    if (isMistyped(config.BOOTSTRAP_API_KEY)) {
      throw new Error(`BOOTSTRAP_API_KEY begins with ${keyPrefix}, but it is cut or mistyped.`);
    }
    const keyId = await insertKey(database, owner, config.BOOTSTRAP_API_KEY);
    const identity = await findIdentity(database, config.BOOTSTRAP_API_KEY);
    if (identity?.organizationId === owner.organization_id)
      return { kind: 'bootstrap', linkToken: await linkFor(database, keyId) };
    throw new Error(
      'BOOTSTRAP_API_KEY is a key that has ended, was revoked or belongs to another organization; set another one.',
    );
  }
  const path = join(config.DATA_DIR, 'api-key');
  if (await hasUsableKey(database, owner.organization_id)) {
    return (await holdsKeyOf(database, owner.organization_id, path)) ? { kind: 'file', path } : { kind: 'existing' };
  }
  const key = newApiKey();
  if (!hasTerminal) await writeKeyFile(path, key);
  const linkToken = await linkFor(database, await insertKey(database, owner, key));
  return hasTerminal ? { kind: 'new', key, linkToken } : { kind: 'file', path, linkToken };
}

async function linkFor(database: Database, keyId: number | undefined): Promise<string | undefined> {
  return keyId === undefined ? undefined : (await createLink(database, keyId))?.token;
}

async function holdsKeyOf(database: Database, organizationId: string, path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text !== '' && (await findIdentity(database, text.trim()))?.organizationId === organizationId;
}

async function writeKeyFile(path: string, key: string): Promise<void> {
  try {
    makeFolder(dirname(path), 0o700);
    // A file that is there already would keep its mode, and a full disk would leave half a key.
    const draft = `${path}.${process.pid}`;
    await writeFile(draft, `${key}\n`, { mode: 0o600 });
    await rename(draft, path);
  } catch (error) {
    throw new Error(
      `The first API key cannot be written: ${(error as Error).message}. Set BOOTSTRAP_API_KEY or DATA_DIR.`,
    );
  }
}
