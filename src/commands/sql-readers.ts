import { type Command, Option } from 'commander';
import { admitSqlReader, createSqlReader, dropSqlReader, listSqlReaders } from '../auth/sql-readers.ts';
import type { Actor } from '../database/audit.ts';
import type { OwnerDatabase } from '../database/database.ts';
import { isDistributed } from '../database/distribution.ts';

interface Surroundings {
  /** Runs one command on the configured database, as the role that owns its tables. */
  withOwner: (work: (owner: OwnerDatabase, connectionString: string) => Promise<void>) => Promise<void>;
  print: (line: string) => void;
  /** Who runs the command, for the audit log. */
  actor: Actor;
}

/** `metrology-server sql-readers …`: make, list and drop the roles that read an organization's points in SQL. */
export function addSqlReadersCommands(readers: Command, { withOwner, print, actor }: Surroundings): void {
  readers.description("roles of PostgreSQL that read one organization's points in SQL (docs/sql.md)");
  readers
    .command('create')
    .description('make a role and print how it connects, alone, on standard output')
    .addOption(new Option('--organization <name>', 'whose points it reads').makeOptionMandatory())
    .option('--role <name>', 'a role that is there already, with a password of its own')
    .action(({ organization, role }) =>
      withOwner(async (owner, connectionString) => {
        if (await isDistributed(owner.pool)) throw new Error(noneInCluster);
        if (role === undefined) print((await createSqlReader(owner, connectionString, organization, actor)).url);
        else {
          await admitSqlReader(owner, role, organization, actor);
          print(`The role ${role} reads the points of ${organization}.`);
        }
      }),
    );
  readers
    .command('list')
    .description('list all readers')
    .action(() =>
      withOwner(async (owner) => {
        print('ROLE\tORGANIZATION\tCREATED');
        for (const { role_name, organization, created_at } of await listSqlReaders(owner)) {
          print([role_name, organization, created_at].join('\t'));
        }
      }),
    );
  readers
    .command('drop')
    .description('end the access of a reader at once, and drop its role')
    .argument('<role>')
    .action((role) =>
      withOwner(async (owner) => {
        const isGone = await dropSqlReader(owner, role, actor);
        print(isGone ? `The role ${role} is gone.` : `The role ${role} reads nothing any more; drop it in PostgreSQL.`);
      }),
    );
}

const noneInCluster =
  'The database is distributed over several nodes, and the views for SQL readers do not exist there (docs/scale.md#sql).';
