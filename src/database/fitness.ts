/** Checks at the start whether a server can work with a database at all, and says what to do where it cannot. */
import type { Access } from './access.ts';
import { type MigrationFile, pendingOf, type RanMigration, ranMigrations } from './migrations.ts';
import { hasSqlstate, sqlstates } from './sqlstates.ts';
import { inTransaction } from './transactions.ts';

const supportedVersions = { first: 15, last: 18 };

/** The tables of the first migration. */
const firstTables = [
  ...['organizations', 'users', 'api_keys', 'growth_instruments', 'physical_samples', 'projects', 'streams', 'tags'],
  ...['project_physical_samples', 'processed_data_entries', 'stream_tags', 'channels', 'chunks'],
];

interface Facts {
  major: number;
  encoding: string;
  role: string;
  database: string;
  /** Null where the search_path names no schema that exists. */
  schema: string | null;
  mayCreate: boolean | null;
  isReadOnly: boolean;
  /** Another schema that holds the tables of a server. */
  elsewhere: string | null;
  /** An owner of tables of this schema whose rights the role does not have. */
  otherOwner: string | null;
  /** Those of `firstTables` that exist. */
  found: string[] | null;
}

export interface Fitness {
  /** Why no server can work with it, in a sentence that says what to do. */
  problem?: string;
  /** The tables belong to another role, which has run the migrations. */
  isOfAnother: boolean;
}

/**
 * Checks before anything is created or changed. A condition that passes by itself, such as a standby, is no problem.
 * @param owner as the role that runs migrations, or the role of the server if there is no other
 * @param options.mustOwn the tables, if there are any, have to belong to this role
 */
export async function fitnessOf(
  owner: Access,
  files: readonly MigrationFile[],
  { mustOwn }: { mustOwn: boolean },
): Promise<Fitness> {
  const { facts, ran } = await lookAt(owner);
  const isOfAnother = facts.otherOwner !== null;
  const problem = placeProblem(facts) ?? (isOfAnother && !mustOwn ? undefined : tablesProblem(facts, ran, files));
  return { ...(problem !== undefined && { problem }), isOfAnother };
}

/**
 * Reads the tables and the migrations that made them in one snapshot, since another server that starts may be making
 * them.
 * @returns `ran` is undefined where this role may not read it
 */
async function lookAt({ pool }: Pick<Access, 'pool'>): Promise<{ facts: Facts; ran: RanMigration[] | undefined }> {
  return inTransaction(pool, async (client) => {
    // Not a read-only transaction: whether the role may write is one of the facts.
    await client.query('set transaction isolation level repeatable read');
    const { rows } = await client.query<Facts>(factsSql, [firstTables]);
    const facts = rows[0] as Facts;
    const ran = await ranMigrations({ pool: client }).catch((error: unknown) => {
      if (!hasSqlstate(error, sqlstates.insufficientPrivilege) || facts.otherOwner === null) throw error;
      return undefined;
    });
    return { facts, ran };
  });
}

function placeProblem({ major, encoding, database, schema, elsewhere, isReadOnly }: Facts): string | undefined {
  const { first, last } = supportedVersions;
  if (major < first || major > last) return `PostgreSQL ${major} is not supported: use ${first} to ${last}.`;
  if (encoding !== 'UTF8') {
    return (
      `The database ${quoted(database)} has the encoding ${encoding}, which lacks most characters: ` +
      `make one with "create database … encoding 'UTF8' template template0".`
    );
  }
  if (schema === null) {
    return 'The search_path of the database names no schema that is there and may be used: make the schema, or set search_path to one.';
  }
  if (elsewhere !== null) {
    return (
      `The database ${quoted(database)} holds a metrology-server in the schema ${quoted(elsewhere)}, and search_path leads ` +
      `to ${quoted(schema)}: give each server a database of its own, or set search_path to ${quoted(elsewhere)}.`
    );
  }
  if (isReadOnly) {
    return (
      `The database ${quoted(database)} is read-only: set default_transaction_read_only off for it and for the role, ` +
      'or name the primary.'
    );
  }
  return undefined;
}

/** Without this check, migrations would fail on the first table, with no more than its name. */
function ownerProblem({ role, database, otherOwner }: Facts): string | undefined {
  if (otherOwner === null) return undefined;
  return (
    `The tables of the database ${quoted(database)} belong to the role ${quoted(otherOwner)}, not to ${quoted(role)}, the role of ` +
    `MIGRATION_DATABASE_URL, as after a restore by ${quoted(otherOwner)}: restore the backup as ${quoted(role)} ` +
    `(docs/operations.md#backup), or let MIGRATION_DATABASE_URL name ${quoted(otherOwner)}.`
  );
}

function tablesProblem(
  facts: Facts,
  visible: RanMigration[] | undefined,
  files: readonly MigrationFile[],
): string | undefined {
  const { role, database, schema, mayCreate, otherOwner } = facts as Facts & { schema: string };
  const found = facts.found ?? [];
  const ran = visible ?? [];
  const isOurs = ran.some(({ name }) => name === files[0]?.name) && found.includes('chunks');
  const own = 'give metrology-server a database of its own.';
  if (ran.length > 0 && !isOurs && files[0]?.name.startsWith('0001')) {
    return (
      `The table kysely_migration in the database ${quoted(database)} is that of another program, which has run ` +
      `${ran[0]?.name}: ${own}`
    );
  }
  if (ran.length === 0 && found.length > 0 && otherOwner === null) {
    return `The schema ${quoted(schema)} of the database ${quoted(database)} holds tables of another program (${found.join(', ')}): ${own}`;
  }
  const pending = pendingOf(files, ran).map(({ name }) => name);
  if (pending.length === 0 || visible === undefined) return ownerProblem(facts);
  if (otherOwner !== null) {
    return (
      `The database is not migrated: ${pending.join(', ')} missing, and its tables belong to the role ${quoted(otherOwner)}, ` +
      `not to ${quoted(role)}: run "metrology-server migrate" with MIGRATION_DATABASE_URL as ${quoted(otherOwner)}.`
    );
  }
  if (mayCreate) return undefined;
  return (
    `The role ${quoted(role)} may make no tables in the schema ${quoted(schema)} of the database ${quoted(database)}: ` +
    `let its owner run "grant create on schema ${quoted(schema)} to ${quoted(role)}", or make the role the owner of the database.`
  );
}

/** A name, quoted where SQL needs it. */
const quoted = (name: string) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`);

/* The default for transactions, since one that began on a standby stays read-only for its rest when that is promoted. */
const factsSql = `
  select current_setting('server_version_num')::integer / 10000 as major,
    (select pg_encoding_to_char(encoding) from pg_database where datname = current_database()) as encoding,
    current_user as role, current_database() as database, current_schema() as schema,
    has_schema_privilege(current_schema(), 'create') as "mayCreate",
    current_setting('default_transaction_read_only')::boolean and not pg_is_in_recovery() as "isReadOnly",
    (select min(n.nspname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relname = 'chunk_revisions' and n.nspname <> current_schema()
       and exists (select from pg_class k where k.relnamespace = n.oid and k.relname = 'kysely_migration')) as elsewhere,
    (select min(pg_get_userbyid(relowner)) from pg_class
     where relnamespace = to_regnamespace(quote_ident(current_schema())) and relkind = 'r'
       and (relname = any ($1::text[]) or relname in ('kysely_migration', 'chunk_revisions', 'sql_readers'))
       and not pg_has_role(relowner, 'USAGE')) as "otherOwner",
    (select array_agg(relname::text order by relname) from pg_class
     where relnamespace = to_regnamespace(quote_ident(current_schema())) and relkind in ('r', 'p', 'v', 'm', 'f')
       and relname = any ($1::text[])) as found`;
