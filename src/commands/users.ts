import type { Command } from 'commander';
import { type AuthLimits, authLimits } from '../auth/limits.ts';
import { callUser, makeUser, organizationCalled } from '../auth/people.ts';
import { nextUsers, type UserRow } from '../auth/people-store.ts';
import type { Actor } from '../database/audit.ts';
import { rowPages } from '../lib/row-pages.ts';
import { type Columns, described, jsonOption, type Listing } from './listing.ts';
import { databaseOf, ofOrganization, type WithDatabase } from './surroundings.ts';

const columns: Columns<UserRow> = {
  ID: (row) => row.user_id,
  NAME: (row) => row.name,
  CREATED: (row) => row.created_at,
  'OPEN KEYS': (row) => row.open_key_count,
  'LAST USED': (row) => row.last_used_at,
};

const about = `
A user is a name that keys and data stand under; what he may do is in his keys. To shut somebody out, revoke his keys:
metrology-server keys revoke --organization NAME --user NAME`;

interface Surroundings {
  withDatabase: WithDatabase;
  listing: Listing;
  /** Who runs the command, for the audit log. */
  actor: Actor;
  limits?: AuthLimits;
}

/** `metrology-server users …`: list, add and rename the users of an organization. */
export function addUsersCommands(
  users: Command,
  { withDatabase, listing, actor, limits = authLimits }: Surroundings,
): void {
  described(users, 'the people of an organization').addHelpText('after', about);
  users
    .command('list')
    .description('list the users of an organization by name')
    .addOption(ofOrganization())
    .addOption(jsonOption())
    .action(({ organization, json }) =>
      withDatabase(async (database) => {
        const own = await databaseOf(database, organization, actor);
        const next = (after?: UserRow) => nextUsers(own, after, limits.listedRowsMax);
        return listing.list(rowPages(limits.listedRowsMax, next), columns, json);
      }),
    );
  users
    .command('add')
    .description('make a user, or find the one of that name, and print the id')
    .argument('<name>')
    .addOption(ofOrganization())
    .addOption(jsonOption())
    .action((name, { organization, json }) =>
      withDatabase(async (database) => {
        const { id, ...made } = await makeUser(database, await organizationCalled(database, organization), name, actor);
        listing.tell({ user_id: id, ...made }, id, json);
      }),
    );
  users
    .command('rename')
    .description('give a user another name; his keys and data stay')
    .argument('<name>')
    .argument('<new-name>')
    .addOption(ofOrganization())
    .addOption(jsonOption())
    .action((old, newName, { organization, json }) =>
      withDatabase(async (database) => {
        const named = await organizationCalled(database, organization);
        const { id, name } = await callUser(database, named, { name: old, newName }, actor);
        listing.tell({ user_id: id, name }, `The user is called "${name}" now.`, json);
      }),
    );
}
