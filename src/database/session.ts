/**
 * What every connection relies on: its role and its settings. The server sets both by a statement and then asks
 * PostgreSQL whether they are in effect. Connection options would save that statement, but a pooler may refuse or drop
 * them. Then the role would be the login role, and no policy would keep organizations apart.
 */
import type pg from 'pg';
import { within } from '../lib/within.ts';
import { clusterSchema, clusterSettings, isDistributedSql } from './distribution.ts';
import { cut } from './driver.ts';
import { DatabaseSilent, ServesNoMore } from './failures.ts';
import { markSession } from './packing.ts';
import { apiRole, serviceRole } from './roles.ts';
import type { Route } from './route.ts';
import { hasSqlstate, sqlstates } from './sqlstates.ts';

export interface SessionSettings {
  /** The role that the connection takes; without it, the connection keeps its login role. */
  role?: string;
  /** Settings of PostgreSQL by their names. */
  settings: Readonly<Record<string, string>>;
}

const backends = new WeakMap<object, number>();

/**
 * The backend process of PostgreSQL when the connection was made; behind a pooler in transaction mode it changes later.
 */
export const backendOf = (client: object): number | undefined => backends.get(client);

/**
 * Sets the role and the settings of a new connection, and checks them.
 * @param msMax the longest time for that; a pooler whose pool is used up lets the first statement wait
 * @throws ServesNoMore with a sentence when they do not take effect; DatabaseSilent when no answer comes in time
 */
export async function beginSession(
  client: pg.ClientBase,
  { role, settings }: SessionSettings,
  route: Route,
  msMax: number,
): Promise<void> {
  const wanted = Object.entries({ ...settings, ...(role !== undefined && { role }) });
  const begin = async () => {
    const { set, clusterPath } = await setAll(client, wanted);
    const isInCluster = role !== undefined && clusterPath !== null;
    await prove(client, isInCluster ? lastOf([...set, ...(await setForCluster(client, clusterPath))]) : set, role);
    await proveOptions(client, route.settingNames());
    const unfit = await route.unfit(client);
    if (unfit !== undefined) throw unfit;
  };
  await within(begin(), msMax, () => new DatabaseSilent(msMax)).catch((error: Error & { code?: string }) => {
    if (error instanceof DatabaseSilent) cut(client, error);
    throw isRoleFailure(error)
      ? Object.assign(new ServesNoMore(rolesLost, { cause: error }), { code: error.code })
      : error;
  });
}

interface SetSettings {
  /** The settings as PostgreSQL shows them: `25s` for 25000 ms. */
  set: [string, string][];
  /** The search path, if the tables are distributed. */
  clusterPath: string | null;
}

async function setAll(client: pg.ClientBase, wanted: [string, string][]): Promise<SetSettings> {
  const { rows } = await client.query<{ name: string; value: string; path: string | null }>(
    `select name, set_config(name, value, false) as value,
       case when ${isDistributedSql} then current_setting('search_path') end as path
     from (select ${markSession}) as marked, unnest($1::text[], $2::text[]) as wanted (name, value)`,
    [wanted.map(([name]) => name), wanted.map(([, value]) => value)],
  );
  return { set: rows.map(({ name, value }) => [name, value]), clusterPath: rows[0]?.path ?? null };
}

/** Of a setting that was set twice, the last value. */
const lastOf = (set: [string, string][]): [string, string][] => [...new Map(set)];

/** Sets what a cluster needs. */
async function setForCluster(client: pg.ClientBase, path: string): Promise<[string, string][]> {
  const more: [string, string][] = [
    ...Object.entries(clusterSettings),
    ['search_path', `${path}, ${clusterSchema}, pg_catalog`],
  ];
  return (await setAll(client, more)).set;
}

/** Checks in a second transaction whether what was set is in effect. */
async function prove(client: pg.ClientBase, set: [string, string][], role: string | undefined): Promise<void> {
  const { rows } = await client.query<{ backend: number; role: string; lost: string | null }>(
    `select pg_backend_pid() as backend, current_user as role,
       (select string_agg(name, ', ') from unnest($1::text[], $2::text[]) as was (name, value)
        where current_setting(name, true) is distinct from value) as lost`,
    [set.map(([name]) => name), set.map(([, value]) => value)],
  );
  const { backend, lost, ...held } = rows[0] as { backend: number; role: string; lost: string | null };
  if (role !== undefined && held.role !== role) throw new ServesNoMore(sessionLost('role'));
  if (lost !== null) throw new ServesNoMore(sessionLost(lost));
  backends.set(client, backend);
}

/** The settings that the address asks for are sent as connection options. Checks that no pooler has dropped them. */
async function proveOptions(client: pg.ClientBase, names: string[]): Promise<void> {
  if (names.length === 0) return;
  const { rows } = await client.query<{ lost: string | null }>(
    `select string_agg(asked, ', ') as lost from unnest($1::text[]) as asked
     where not exists (select from pg_settings where name = asked and source in ('client', 'session'))
       and (exists (select from pg_settings where name = asked)
            or coalesce(nullif(current_setting(asked, true), 'none'), '') = '')`,
    [names],
  );
  const lost = rows[0]?.lost ?? null;
  if (lost === null) return;
  throw new ServesNoMore(
    `A pooler drops the options that the address of the database asks for (${lost}): set them with "alter role … set" instead.`,
  );
}

export const rolesLost = `The server cannot take the roles ${apiRole} and ${serviceRole} of the database any more (docs/operations.md#roles).`;

export const sessionLost = (what: string) =>
  `Connections to the database do not keep what the server sets (${what}): a pooler must be in session mode (docs/operations.md#poolers).`;

/** PostgreSQL has no such role, or does not let this login take it. */
const isRoleFailure = (error: unknown) =>
  hasSqlstate(error, sqlstates.invalidParameterValue, sqlstates.insufficientPrivilege);
