import { Option } from 'commander';
import { defaultOrganization, defaultUser } from '../auth/keys.ts';
import { organizationCalled } from '../auth/people.ts';
import type { Actor } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';

/** Runs one command on the configured database. */
export type WithDatabase = (work: (database: Database) => Promise<void>) => Promise<void>;

/** Whose something is that is made: both are made when missing. */
export const owner = {
  organization: () => new Option('--organization <name>', 'whose it is; made when missing').makeOptionMandatory(),
  user: () => new Option('--user <name>', 'the person; made when missing').default(defaultUser),
};

/** The database as an organization has it. @throws Error with a sentence when there is none of that name */
export async function databaseOf(
  database: Database,
  organization: string,
  actor: Actor,
): Promise<OrganizationDatabase> {
  return database.as((await organizationCalled(database, organization)).id, undefined, actor);
}

/** Whose things a command is about that are there already. */
export const ofOrganization = () => new Option('--organization <name>', 'whose they are').default(defaultOrganization);
