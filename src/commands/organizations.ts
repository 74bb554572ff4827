import type { Command } from 'commander';
import { type AuthLimits, authLimits } from '../auth/limits.ts';
import { callOrganization, makeOrganization } from '../auth/people.ts';
import { nextOrganizations, type OrganizationRow } from '../auth/people-store.ts';
import type { Actor } from '../database/audit.ts';
import { rowPages } from '../lib/row-pages.ts';
import { type Columns, described, jsonOption, type Listing } from './listing.ts';
import type { WithDatabase } from './surroundings.ts';

const columns: Columns<OrganizationRow> = {
  ID: (row) => row.organization_id,
  NAME: (row) => row.name,
  CREATED: (row) => row.created_at,
  USERS: (row) => row.user_count,
  'OPEN KEYS': (row) => row.open_key_count,
};

interface Surroundings {
  withDatabase: WithDatabase;
  listing: Listing;
  /** Who runs the command, for the audit log. */
  actor: Actor;
  limits?: AuthLimits;
}

/** `metrology-server organizations …`: list, add and rename organizations. */
export function addOrganizationsCommands(
  organizations: Command,
  { withDatabase, listing, actor, limits = authLimits }: Surroundings,
): void {
  described(organizations, 'organizations: nobody sees the data of another one');
  organizations
    .command('list')
    .description('list all organizations by name')
    .addOption(jsonOption())
    .action(({ json }) =>
      withDatabase((database) => {
        const next = (after?: OrganizationRow) => nextOrganizations(database, after, limits.listedRowsMax);
        return listing.list(rowPages(limits.listedRowsMax, next), columns, json);
      }),
    );
  organizations
    .command('add')
    .description('make an organization, or find the one of that name, and print its id')
    .argument('<name>')
    .addOption(jsonOption())
    .action((name, { json }) =>
      withDatabase(async (database) => {
        const { id, ...made } = await makeOrganization(database, name, actor);
        listing.tell({ organization_id: id, ...made }, id, json);
      }),
    );
  organizations
    .command('rename')
    .description('give an organization another name; its data, users and keys stay')
    .argument('<name>')
    .argument('<new-name>')
    .addOption(jsonOption())
    .action((old, newName, { json }) =>
      withDatabase(async (database) => {
        const { id, name } = await callOrganization(database, old, newName, actor);
        listing.tell({ organization_id: id, name }, `The organization is called "${name}" now.`, json);
      }),
    );
}
