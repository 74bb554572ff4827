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

/** What a key may do, and for how long. By default it has all scopes and never expires. */
export interface KeyTerms {
  scopes?: readonly Scope[];
  end?: KeyEnd;
}

/**
 * Makes a key for a user of an organization; both are created when missing.
 * @returns the key, which cannot be shown again
 */
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

/** Says in a sentence, which does not show the text, why it is not a key; undefined when it can be one. */
export function keyFault(key: string): string | undefined {
  const { keyLengthMin, keyLengthMax } = contract;
  if (!new RegExp(`^[\\x21-\\x7e]{${keyLengthMin},${keyLengthMax}}$`).test(key))
    return `A key has ${keyLengthMin} to ${keyLengthMax} ASCII characters without spaces, on one line.`;
  return isMistyped(key) ? `This key begins with ${keyPrefix}, but it is cut or mistyped.` : undefined;
}

/**
 * Stores an existing key, of any form, for a user of an organization.
 * @returns the id of the key in lists
 * @throws Error with a sentence, which never shows the key, when it is malformed or stored already
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
 * Makes the successor of a key. Both are valid until the overlap ends, then only the new one.
 * @returns the new key, its id, and when the old one ends
 * @throws Error with a sentence when the old key is not valid or has a successor already
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
    // A concurrent call has rotated the same key.
    if (hasSqlstate(error, sqlstates.uniqueViolation)) return undefined;
    throw error;
  });
  if (made === undefined) throw new Error(`There is no key ${keyId} that still opens and was not rotated yet.`);
  return { key, ...made };
}

/** Where a person who has just started the server finds a key. */
export type ProvidedKey = (
  | { kind: 'bootstrap' | 'existing' }
  | { kind: 'new'; key: string }
  | { kind: 'file'; path: string }
) & {
  /** Secret of a link that signs in to the page once. Given when this start has stored the key. */
  linkToken?: string | undefined;
};

/**
 * Ensures that the default organization has a key: that of BOOTSTRAP_API_KEY when it is set, otherwise at least one. A
 * new key is shown on a terminal. Without a terminal it is written to DATA_DIR/api-key; the file is written before the
 * key is stored, so that a crash between the two leaves no key in the database that nobody has. A key that is stored
 * here also gets a link.
 * @throws Error when BOOTSTRAP_API_KEY is mistyped, has expired, was revoked or belongs to another organization, or
 * when the   file cannot be written.
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
    // A rename, because an existing file would keep its mode, and a full disk would leave half a key.
    const draft = `${path}.${process.pid}`;
    await writeFile(draft, `${key}\n`, { mode: 0o600 });
    await rename(draft, path);
  } catch (error) {
    throw new Error(
      `The first API key cannot be written: ${(error as Error).message}. Set BOOTSTRAP_API_KEY or DATA_DIR.`,
    );
  }
}
