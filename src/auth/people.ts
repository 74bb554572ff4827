/**
 * The rules of the commands for organizations and users: a name can be stored and is visible, and no two things share
 * one.
 */
import { contract } from '../contract.ts';
import type { Actor } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import { defaultOrganization } from './keys.ts';
import {
  addOrganization,
  addUser,
  findOrganizationByName,
  findUser,
  renameOrganization,
  renameUser,
} from './people-store.ts';

interface Named {
  id: string;
  name: string;
}

/**
 * Checks a name. @returns it without surrounding white space
 * @throws Error with a sentence when it is blank, too long, or has characters that PostgreSQL cannot store
 */
export function nameOf(text: string): string {
  const name = text.trim();
  if (name === '') throw new Error('A name must not be blank.');
  if (name.length > contract.nameLengthMax) throw new Error(`A name has at most ${contract.nameLengthMax} characters.`);
  if (name.includes('\0') || !name.isWellFormed()) throw new Error('A name must be text.');
  return name;
}

/** @throws Error with a sentence when there is no such organization */
export async function organizationCalled(database: Database, name: string): Promise<Named> {
  const found = await findOrganizationByName(database, name);
  if (found === undefined) throw new Error(`There is no organization "${name}".`);
  return found;
}

/** @throws Error with a sentence when the organization has no such user */
export async function userCalled(database: Database, organization: Named, name: string): Promise<Named> {
  const found = await findUser(database, organization.id, name);
  if (found === undefined) throw new Error(`There is no user "${name}" in the organization "${organization.name}".`);
  return found;
}

/** Makes an organization, or finds the one of that name. @throws Error with a sentence when the name is not valid */
export const makeOrganization = (database: Database, name: string, actor: Actor) =>
  addOrganization(database, nameOf(name), actor);

/** Makes a user, or finds the one of that name. @throws Error with a sentence when the name is not valid */
export const makeUser = (database: Database, organization: Named, name: string, actor: Actor) =>
  addUser(database, organization.id, nameOf(name), actor);

/**
 * Gives an organization another name; its data, users and keys stay as they are.
 * @throws Error with a sentence when there is no such organization, when another one has the new name, or when it is the
 * default organization, which the next start of a server would make again under its old name
 */
export async function callOrganization(
  database: Database,
  name: string,
  newName: string,
  actor: Actor,
): Promise<Named> {
  const { id } = await organizationCalled(database, name);
  const first = await findOrganizationByName(database, defaultOrganization);
  if (first?.id === id) {
    throw new Error(
      `The organization "${defaultOrganization}" keeps its name: the server makes one of that name when it starts.`,
    );
  }
  const renamed = await renameOrganization(database, name, nameOf(newName), actor);
  if (renamed === undefined) throw new Error(`There is no organization "${name}".`);
  if (renamed.isTaken) throw new Error(`Another organization is called "${newName}".`);
  return renamed;
}

/**
 * Gives a user another name.
 * @throws Error with a sentence when there is no such user, or another one has the new name
 */
export async function callUser(
  database: Database,
  organization: Named,
  { name, newName }: { name: string; newName: string },
  actor: Actor,
): Promise<Named> {
  const renamed = await renameUser(database, organization.id, { name, newName: nameOf(newName) }, actor);
  if (renamed === undefined) return userCalled(database, organization, name);
  if (renamed.isTaken)
    throw new Error(`Another user of the organization "${organization.name}" is called "${newName}".`);
  return renamed;
}
