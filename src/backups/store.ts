import pg from 'pg';
import { serviceRole } from '../database/roles.ts';
import type { BackupManifest } from './backup-format.ts';

/*
 * Statements on the one connection of a backup or a restore, in its transaction: the tables as PostgreSQL's catalogs
 * show them.
 */

const inSchema = `c.relnamespace = to_regnamespace(quote_ident(current_schema())) and c.relkind = 'r'
  and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e')`;

export interface ListedTable {
  name: string;
  /** Whether the role of this session can see every row. */
  isReadable: boolean;
  /** Whether it is a table of the server: it has row-level security, or is shared with the server's role. */
  isOurs: boolean;
  /** Bytes on disk, without indexes. */
  bytes: number;
}

/** The tables of the schema; a table comes after those that it refers to. */
export async function listTables(client: pg.PoolClient): Promise<ListedTable[]> {
  const { rows } = await client.query<ListedTable & { refersTo: string[] }>(
    `select c.relname::text as name, pg_table_size(c.oid) as bytes,
       c.relrowsecurity or c.relname = 'kysely_migration' or has_table_privilege('${serviceRole}', c.oid, 'select') as "isOurs",
       has_table_privilege(c.oid, 'select') and (not row_security_active(c.oid) or exists (
         select from pg_policy p where p.polrelid = c.oid and p.polpermissive and p.polcmd in ('r', '*')
           and pg_get_expr(p.polqual, p.polrelid) = 'true'
           and exists (select from unnest(p.polroles) r where r = 0 or pg_has_role(r, 'USAGE'))
       ) and not exists (select from pg_policy p where p.polrelid = c.oid and not p.polpermissive)) as "isReadable",
       array(select distinct r.relname::text from pg_constraint f join pg_class r on r.oid = f.confrelid
             where f.conrelid = c.oid and f.contype = 'f' and f.confrelid <> c.oid) as "refersTo"
     from pg_class c where ${inSchema} order by c.relname`,
  );
  return inOrder(rows).map(({ refersTo: _, ...table }) => table);
}

/** @throws when tables refer to each other in a circle */
function inOrder<Table extends { name: string; refersTo: string[] }>(tables: Table[]): Table[] {
  const ordered: Table[] = [];
  for (let left = tables; left.length > 0; ) {
    const names = new Set(left.map(({ name }) => name));
    const free = left.filter(({ refersTo }) => !refersTo.some((name) => names.has(name)));
    if (free.length === 0) throw new Error(`Tables refer to each other in a circle: ${[...names].join(', ')}.`);
    ordered.push(...free);
    left = left.filter((table) => !free.includes(table));
  }
  return ordered;
}

/** Limits how long the connection waits for a lock; then its statement fails with 55P03. */
export async function boundLocks(client: pg.PoolClient, lockMsMax: number): Promise<void> {
  await client.query(`select set_config('lock_timeout', $1::text, false)`, [String(lockMsMax)]);
}

/**
 * Keeps migrations from changing these tables until the transaction ends. Waits for a migration that is changing one
 * now.
 */
export async function keepTables(client: pg.PoolClient, names: readonly string[]): Promise<void> {
  await client.query(`lock table ${names.map(quoted).join(', ')} in access share mode`);
}

/** The columns of each table with their types, in order, without generated columns. */
export async function listColumns(client: pg.PoolClient, names: readonly string[]): Promise<BackupManifest['tables']> {
  const { rows } = await client.query<{ table: string; name: string; type: string }>(
    `select c.relname::text as "table", a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type
     from pg_class c join pg_attribute a on a.attrelid = c.oid
     where ${inSchema} and c.relname = any ($1::text[]) and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     order by a.attnum`,
    [names],
  );
  return names.map((name) => ({
    name,
    columns: rows.filter(({ table }) => table === name).map(({ name, type }) => ({ name, type })),
  }));
}

/**
 * The sequences of columns, and the last number of each. Sequences are not part of any transaction: they may be ahead
 * of the snapshot, but never behind it.
 */
export async function listSequences(
  client: pg.PoolClient,
  names: readonly string[],
): Promise<BackupManifest['sequences']> {
  const { rows } = await client.query<BackupManifest['sequences'][number] & { isReadable: boolean }>(
    `select c.relname::text as "table", a.attname::text as "column", has_sequence_privilege(d.objid, 'select') as "isReadable",
       case when has_sequence_privilege(d.objid, 'select') then pg_sequence_last_value(d.objid) end as last
     from pg_depend d
     join pg_class c on c.oid = d.refobjid
     join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid
     join pg_sequence s on s.seqrelid = d.objid
     where ${inSchema} and c.relname = any ($1::text[])
       and d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
     order by 1, 2`,
    [names],
  );
  const hidden = rows.find(({ isReadable }) => !isReadable);
  if (hidden !== undefined) {
    throw new Error(`The role of this session may not read the counter of ${hidden.table}.${hidden.column}.`);
  }
  return rows.map(({ isReadable: _, ...sequence }) => sequence);
}

/** The start of this transaction, and the release of PostgreSQL. */
export async function readMoment(client: pg.PoolClient): Promise<{ takenAt: string; postgres: string }> {
  const { rows } = await client.query<{ takenAt: string; postgres: string }>(
    `select now() as "takenAt", current_setting('server_version') as postgres`,
  );
  return rows[0] as { takenAt: string; postgres: string };
}

export interface Found {
  name: string;
  hasRows: boolean;
}

/** What the schema already contains: tables, views and the like, and whether tables have rows. */
export async function listFound(client: pg.PoolClient): Promise<Found[]> {
  const { rows } = await client.query<{ name: string; isTable: boolean }>(
    `select c.relname::text as name, c.relkind = 'r' as "isTable" from pg_class c
     where c.relnamespace = to_regnamespace(quote_ident(current_schema())) and c.relkind in ('r', 'p', 'v', 'm', 'f')
       and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e')
     order by 1`,
  );
  const found: Found[] = [];
  for (const { name, isTable } of rows) {
    const filled = isTable ? await client.query(`select from ${quoted(name)} limit 1`) : { rowCount: 0 };
    found.push({ name, hasRows: filled.rowCount !== 0 });
  }
  return found;
}

/** Lets the owner fill empty tables: row-level security does not apply to it, and our triggers do not fire. */
export async function openTables(client: pg.PoolClient, names: readonly string[]): Promise<void> {
  // Rows that are there were made by migrations. A table that is truncated in this transaction can be filled with
  // frozen rows.
  await client.query(`truncate ${names.map(quoted).join(', ')}`);
  for (const name of names) {
    await client.query(`alter table ${quoted(name)} no force row level security, disable trigger user`);
  }
}

export async function closeTables(client: pg.PoolClient, names: readonly string[], forced: readonly string[]) {
  for (const name of names) await client.query(`alter table ${quoted(name)} enable trigger user`);
  for (const name of forced) await client.query(`alter table ${quoted(name)} force row level security`);
}

/** Tables whose policies also apply to their owner. */
export async function listForced(client: pg.PoolClient, names: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select c.relname::text as name from pg_class c
     where ${inSchema} and c.relname = any ($1::text[]) and c.relforcerowsecurity`,
    [names],
  );
  return rows.map(({ name }) => name);
}

/** Makes a sequence continue after a number. */
export async function setSequence(
  client: pg.PoolClient,
  { table, column, last }: BackupManifest['sequences'][number],
): Promise<void> {
  if (last === null) return;
  await client.query(`select setval(pg_get_serial_sequence(quote_ident($1::text), $2::text), $3::bigint)`, [
    table,
    column,
    last,
  ]);
}

export const copyToSql = ({ name, columns }: BackupManifest['tables'][number]) =>
  `copy ${quoted(name)} (${columnList(columns)}) to stdout (format binary)`;

export const copyFromSql = ({ name, columns }: BackupManifest['tables'][number]) =>
  `copy ${quoted(name)} (${columnList(columns)}) from stdin (format binary, freeze true)`;

const columnList = (columns: readonly { name: string }[]) => columns.map(({ name }) => quoted(name)).join(', ');
const quoted = pg.escapeIdentifier;
