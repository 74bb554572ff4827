import { Option } from 'commander';
import { defaultOrganization, defaultUser } from '../auth/keys.ts';
import { organizationCalled } from '../auth/people.ts';
import type { Actor } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';

/** Runs one command on the configured database. */
export type WithDatabase = (work: (database: Database) => Promise<void>) => Promise<void>;

/** Options for the owner of a new thing. Organization and user are created when missing. */
export const owner = {
  organization: () => new Option('--organization <name>', 'whose it is; made when missing').makeOptionMandatory(),
  user: () => new Option('--user <name>', 'the person; made when missing').default(defaultUser),
};

/** The database handle of an organization. @throws Error with a sentence when there is no organization of that name */
export async function databaseOf(
  database: Database,
  organization: string,
  actor: Actor,
): Promise<OrganizationDatabase> {
  return database.as((await organizationCalled(database, organization)).id, undefined, actor);
}

/** The option for the organization whose existing things a command is about. */
export const ofOrganization = () => new Option('--organization <name>', 'whose they are').default(defaultOrganization);
