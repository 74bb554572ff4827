import { type Command, Option } from 'commander';
import { admitSqlReader, createSqlReader, dropSqlReader, listSqlReaders } from './auth/sql-readers.ts';
import type { Database } from './database/database.ts';

interface Surroundings {
  /** Runs one command on the configured database. */
  withDatabase: (work: (database: Database, connectionString: string) => Promise<void>) => Promise<void>;
  print: (line: string) => void;
}

/** `metrology-server sql-readers …`: who reads the points of an organization in SQL. */
export function addSqlReadersCommands(readers: Command, { withDatabase, print }: Surroundings): void {
  readers.description("roles of PostgreSQL that read one organization's points in SQL (docs/sql.md)");
  readers
    .command('create')
    .description('make a role and print how it connects, alone, on standard output')
    .addOption(new Option('--organization <name>', 'whose points it reads').makeOptionMandatory())
    .option('--role <name>', 'a role that is there already, with a password of its own')
    .action(({ organization, role }) =>
      withDatabase(async (database, connectionString) => {
        if (role === undefined) print((await createSqlReader(database, connectionString, organization)).url);
        else {
          await admitSqlReader(database, role, organization);
          print(`The role ${role} reads the points of ${organization}.`);
        }
      }),
    );
  readers
    .command('list')
    .description('list all readers')
    .action(() =>
      withDatabase(async (database) => {
        print('ROLE\tORGANIZATION\tCREATED');
        for (const { role_name, organization, created_at } of await listSqlReaders(database)) {
          print([role_name, organization, created_at].join('\t'));
        }
      }),
    );
  readers
    .command('drop')
    .description('end the access of a reader at once, and drop its role')
    .argument('<role>')
    .action((role) =>
      withDatabase(async (database) => {
        const isGone = await dropSqlReader(database, role);
        print(isGone ? `The role ${role} is gone.` : `The role ${role} reads nothing any more; drop it in PostgreSQL.`);
      }),
    );
}
