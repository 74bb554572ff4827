import type { Command } from 'commander';
import { defaultOrganization } from '../auth/keys.ts';
import { ensureUser } from '../auth/people-store.ts';
import { type CatalogueLimits, catalogueLimits } from '../catalogue/limits.ts';
import { deleteProject } from '../catalogue/projects/service.ts';
import { createProject, nextProjects, type ProjectRow } from '../catalogue/projects/store.ts';
import type { Actor } from '../database/audit.ts';
import { rowPages } from '../lib/row-pages.ts';
import { type Columns, described, jsonOption, type Listing, uuid } from './listing.ts';
import { databaseOf, ofOrganization, owner, type WithDatabase } from './surroundings.ts';

type Shown = Omit<ProjectRow, 'configuration' | 'detail_note'>;

const columns: Columns<Shown> = {
  ID: (row) => row.id,
  NAME: (row) => row.name,
  OWNER: (row) => row.owner_name,
  CREATED: (row) => row.created_datetime,
  CHANGED: (row) => row.last_updated,
  SAMPLES: (row) => row.physical_sample_count,
};

interface Surroundings {
  withDatabase: WithDatabase;
  listing: Listing;
  /** Who runs the command, for the audit log. */
  actor: Actor;
  limits?: CatalogueLimits;
}

/** `metrology-server projects …` */
export function addProjectsCommands(
  projects: Command,
  { withDatabase, listing, actor, limits = catalogueLimits }: Surroundings,
): void {
  described(projects, 'projects of an organization');
  projects
    .command('list')
    .description('list projects, newest first')
    .addOption(ofOrganization())
    .addOption(jsonOption())
    .action(({ organization, json }) =>
      withDatabase(async (database) => {
        const own = await databaseOf(database, organization, actor);
        const next = async (after?: Shown) => (await nextProjects(own, after, limits)).map(shown);
        await listing.list(rowPages(limits.listPageRowsMax, next), columns, json);
      }),
    );
  projects
    .command('create')
    .alias('add')
    .description('make a project, or find the one of that name, and print its id')
    .argument('<name>')
    .addOption(owner.organization().default(defaultOrganization))
    .addOption(owner.user())
    .addOption(jsonOption())
    .action((name, { organization, user, json }) =>
      withDatabase(async (database) => {
        const { user_id } = await ensureUser(database, organization, user, actor);
        const { is_new, ...project } = await createProject(
          await databaseOf(database, organization, actor),
          user_id,
          name,
        );
        listing.tell({ ...shown(project), is_new }, project.id, json);
      }),
    );
  projects
    .command('delete')
    .description('delete a project; its streams and samples stay, and belong to no project then')
    .argument('<id>', 'its id in the list', uuid)
    .addOption(ofOrganization())
    .addOption(jsonOption())
    .action((id, { organization, json }) =>
      withDatabase(async (database) => {
        const own = await databaseOf(database, organization, actor);
        await deleteProject(own, id, limits);
        listing.tell({ id, is_deleted: true }, `The project ${id} is deleted.`, json);
      }),
    );
}

/** The fields of a project that lists show. Its configuration and note are left out; the API has them. */
const shown = ({
  id,
  name,
  owner_id,
  owner_name,
  created_datetime,
  last_updated,
  physical_sample_count,
}: ProjectRow) => ({
  ...{ id, name, owner_id, owner_name, created_datetime, last_updated, physical_sample_count },
});
