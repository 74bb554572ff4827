import type { Database } from '../database/database.ts';
import { newApiKey } from './api-key.ts';
import { ensureUser, hasUsableKey, insertKey } from './store.ts';

export const defaultOrganization = 'default';
export const defaultUser = 'operator';

/** Makes a key for a user of an organization (both made when missing) and returns it; it cannot be had again. */
export async function createKey(database: Database, organization: string, user = defaultUser): Promise<string> {
  const owner = await ensureUser(database, organization, user);
  const key = newApiKey();
  await insertKey(database, owner, key);
  return key;
}

/**
 * Sees to it that the default organization can be used after a start: the bootstrap key exists, when one is set;
 * otherwise there is at least one key.
 * @returns the key that was made, when one had to be.
 */
export async function bootstrapKey(database: Database, key: string | undefined): Promise<string | undefined> {
  const owner = await ensureUser(database, defaultOrganization, defaultUser);
  if (key !== undefined) {
    await insertKey(database, owner, key);
    return undefined;
  }
  if (await hasUsableKey(database, owner.organization_id)) return undefined;
  return createKey(database, defaultOrganization);
}
