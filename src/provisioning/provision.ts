/**
 * Creates what a provisioning file names and does not exist yet, and changes keys that differ, in one transaction. It
 * removes nothing.
 */
import { nextKeys } from '../auth/key-list-store.ts';
import { defaultUser, importKey } from '../auth/keys.ts';
import { makeOrganization, makeUser } from '../auth/people.ts';
import { changeKey, findKeyId } from '../auth/store.ts';
import { createProject } from '../catalogue/projects/store.ts';
import type { Actor } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import { inOneTransaction } from '../database/whole.ts';
import { msOfDateTime } from '../lib/date-time.ts';
import type { WantedKey, WantedOrganization } from './provisioning-file.ts';

/** The result for one entry of the file. */
export interface Provisioned {
  kind: 'organization' | 'user' | 'key' | 'project';
  organization: string;
  /** For a key, the environment variable that holds it. */
  name: string;
  /**
   * `revoked`: the key was revoked before, and stays so. `expired`: the key has expired. `rotated`: the key has a
   * successor, which determines when it ends. A key of these three is not changed.
   */
  became: 'made' | 'changed' | 'unchanged' | 'revoked' | 'expired' | 'rotated';
}

export interface ProvisionOptions {
  actor: Actor;
  /** Milliseconds since 1970. */
  now: () => number;
  /** Runs all of it, and rolls it back. */
  isDryRun?: boolean;
}

/** An arbitrary number, the same in each server: servers that start at the same time wait for each other. */
const lock = 7_019_006;

/**
 * @returns the result for each entry, in the order of the file
 * @throws Error with a sentence when a key is stored for another user; then nothing is changed
 */
export function applyProvisioning(
  database: Database,
  organizations: readonly WantedOrganization[],
  { actor, now, isDryRun = false }: ProvisionOptions,
): Promise<Provisioned[]> {
  return inOneTransaction(database, { lock, isKept: !isDryRun }, async (whole) => {
    const done: Provisioned[] = [];
    for (const wanted of organizations) done.push(...(await provideOrganization(whole, wanted, actor, now)));
    return done;
  });
}

async function provideOrganization(
  database: Database,
  { name, users, keys, projects }: WantedOrganization,
  actor: Actor,
  now: () => number,
): Promise<Provisioned[]> {
  const made = await makeOrganization(database, name, actor);
  const result = (kind: Provisioned['kind'], entryName: string, became: Provisioned['became']): Provisioned => ({
    ...{ kind, organization: made.name, name: entryName, became },
  });
  const newOrNot = (isNew: boolean) => (isNew ? 'made' : 'unchanged');
  const done = [result('organization', made.name, newOrNot(made.is_new))];
  const idOf = new Map<string, string>();
  const provideUser = async (userName: string) => {
    const user = await makeUser(database, made, userName, actor);
    idOf.set(userName, user.id);
    done.push(result('user', user.name, newOrNot(user.is_new)));
    return user.id;
  };
  for (const userName of users) await provideUser(userName);
  for (const key of keys) {
    const owner = { organization: made.name, userId: idOf.get(key.user) ?? '' };
    done.push(result('key', key.variable, await provideKey(database, key, owner, actor, now)));
  }
  if (projects.length === 0) return done;
  const ownerId = idOf.get(defaultUser) ?? (await provideUser(defaultUser));
  const own = database.as(made.id, undefined, actor);
  for (const projectName of projects) {
    const project = await createProject(own, ownerId, projectName);
    done.push(result('project', project.name, newOrNot(project.is_new)));
  }
  return done;
}

async function provideKey(
  database: Database,
  { user, scopes, variable, key, expiresAt }: WantedKey,
  owner: { organization: string; userId: string },
  actor: Actor,
  now: () => number,
): Promise<Provisioned['became']> {
  const endsAt = expiresAt === undefined ? undefined : msOfDateTime(expiresAt);
  const isOver = endsAt !== undefined && endsAt <= now();
  const keyId = await findKeyId(database, key);
  if (keyId === undefined) {
    if (isOver) return 'expired';
    await importKey(database, key, owner.organization, user, { scopes, end: { at: expiresAt } }, actor);
    return 'made';
  }
  const [stored] = await nextKeys(database, { keyId }, undefined, 1);
  if (stored === undefined) throw new Error(`The key of ${variable} was removed meanwhile.`);
  if (stored.user_id !== owner.userId) {
    throw new Error(
      `The key of ${variable} is stored for the user "${stored.user_name}" of the organization "${stored.organization_name}"; ` +
        `the file has it for "${user}" of "${owner.organization}". Nothing was changed.`,
    );
  }
  if (stored.state === 'revoked') return 'revoked';
  if (stored.replaced_by_key_id !== null) return 'rotated';
  const hasOtherScopes = scopes.length !== stored.scopes.length || scopes.some((one) => !stored.scopes.includes(one));
  const storedEnd = stored.expires_at === null ? undefined : Date.parse(stored.expires_at);
  const hasOtherEnd = endsAt !== undefined && endsAt !== storedEnd;
  if (!hasOtherScopes && !hasOtherEnd) return stored.state === 'expired' ? 'expired' : 'unchanged';
  await changeKey(
    database,
    keyId,
    { scopes: hasOtherScopes ? scopes : undefined, endsAt: hasOtherEnd ? expiresAt : undefined },
    actor,
  );
  return 'changed';
}

const became: Record<Provisioned['became'], string> = {
  made: 'is made',
  changed: 'is changed',
  unchanged: 'is as it was',
  revoked: 'was revoked, and stays so',
  expired: 'has expired, and opens nothing',
  rotated: 'has a successor, and is left as it is',
};

/** For example `lab: key LAB_KEY is made`. */
export const describeProvisioned = (one: Provisioned) =>
  `${one.organization}: ${one.kind} ${one.kind === 'key' ? one.name : `"${one.name}"`} ${became[one.became]}`;

/** How many entries had which result. */
export function countProvisioned(done: readonly Provisioned[]) {
  const count = (what: Provisioned['became']) => done.filter((one) => one.became === what).length;
  const [made, changed] = [count('made'), count('changed')];
  return { made, changed, unchanged: done.length - made - changed };
}
