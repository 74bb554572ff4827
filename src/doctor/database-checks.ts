/* The checks that query PostgreSQL. */
import { problemBetween, ranMigrations, readMigrations } from '../database/migrations.ts';
import { packageRelease } from '../lib/package-info.ts';
import { type Check, fault, list, ok, warning } from './findings.ts';
import {
  readClockMs,
  readConnections,
  readDurability,
  readEndingKeys,
  readInvalidIndexes,
  readLogin,
  readLogKeepers,
  readLongTransactions,
  readPostgresVersion,
  readReplay,
  readStaleTables,
} from './store.ts';

const supported = { first: 15, last: 18 };

export const versions: Check = async ({ service }) => {
  const { version, major } = await readPostgresVersion(service);
  if (major < supported.first || major > supported.last) {
    return fault(`PostgreSQL ${version} is not supported.`, `Use PostgreSQL ${supported.first} to ${supported.last}.`);
  }
  const problem = problemBetween(await readMigrations(), await ranMigrations({ pool: service }));
  if (problem !== undefined) return fault(problem, 'See docs/operations.md#migrations.');
  return ok(`metrology-server ${packageRelease}, PostgreSQL ${version}, migrated.`);
};

export const readiness: Check = async ({ readiness: look }) => {
  const problem = await look();
  if (problem === undefined)
    return ok('Roles, rights and policies are as they must be: a server can keep its promises here.');
  return fault(problem, 'See docs/operations.md#when-a-server-refuses.');
};

export const durability: Check = async ({ service }) => {
  const settings = await readDurability(service);
  const shown = settings.map(({ name, setting }) => `${name}=${setting}`).join(', ');
  if (settings.some(({ setting }) => setting === 'off')) {
    return fault(
      `What was acknowledged can be lost: ${shown}.`,
      'Set all three to on; no server stores anything until then.',
    );
  }
  return ok(`${shown}.`);
};

export const login: Check = async ({ login: pool }) => {
  const { role, isSuperuser, seesAll, isOwner } = await readLogin(pool);
  if (isSuperuser || seesAll) {
    return warning(
      `The server logs in as ${role}, which no policy of PostgreSQL binds: only the server keeps organizations apart.`,
      'Give DATABASE_URL a role of its own, and the owner to MIGRATION_DATABASE_URL: docs/operations.md#roles.',
    );
  }
  return ok(`The server logs in as ${role}, which ${isOwner ? 'owns the tables' : 'owns nothing'}.`);
};

export const clocks: Check = async ({ service, now, limits: { clockMsMax } }) => {
  const before = now();
  const { ms } = await readClockMs(service);
  const after = now();
  const apart = ms < before ? before - ms : Math.max(0, ms - after);
  if (apart <= clockMsMax) return ok('The clocks of this machine and of the database agree.');
  return warning(
    `The clocks of this machine and of the database differ by ${(apart / 1_000).toFixed(1)} s.`,
    'Let both follow NTP (chrony, systemd-timesyncd).',
  );
};

export const indexes: Check = async ({ owner, limits }) => {
  const names = (await readInvalidIndexes(owner)).map(({ name }) => name);
  if (names.length === 0) return ok('All indexes are valid.');
  return fault(`Not valid: ${list(names, limits)}.`, 'Make each anew with "reindex index concurrently NAME".');
};

export const statistics: Check = async ({ owner, limits }) => {
  const { autovacuum, tables } = await readStaleTables(owner, limits.statisticsRowsMin, limits.statisticsChangedMax);
  if (!autovacuum) {
    return fault(
      'autovacuum or track_counts is off: tables grow, and plans are made for what was there.',
      'Set both to on.',
    );
  }
  if (tables === null) return ok('autovacuum is on, and the statistics of all large tables are fresh.');
  const advice = 'Run "analyze", and find out what keeps autovacuum from it where they are old again tomorrow.';
  return warning(`The statistics are old or missing of ${list(tables, limits)}.`, advice);
};

export const connections: Check = async ({ owner, settings, replica: given, limits }) => {
  const { most, used } = await readConnections(owner);
  const workers = settings.WORKERS;
  const wanted = Math.max(settings.DATABASE_POOL_MAX, 2 * workers) + (given === undefined ? 13 : 14) * workers;
  const shown = `${used} of ${most} connections are in use, and one server takes up to ${wanted}`;
  if (wanted > most) return warning(`${shown}.`, 'Raise max_connections, or lower DATABASE_POOL_MAX or WORKERS.');
  if (used > most * limits.connectionsUsedMax) {
    return warning(
      `${shown}.`,
      'Raise max_connections above the sum over all servers and others, or see who holds them.',
    );
  }
  return ok(`${shown}.`);
};

export const transactions: Check = async ({ owner, limits }) => {
  const found = await readLongTransactions(owner, limits.transactionSecondsMax);
  if (found.length === 0) return ok(`No transaction is open for more than ${limits.transactionSecondsMax} s.`);
  const shown = found.map(({ what, seconds }) => `${what}, ${Math.round(seconds)} s`);
  return warning(
    `Open for long: ${list(shown, limits)}. Vacuum gives nothing back of what was removed since.`,
    'End what was forgotten: "select pg_terminate_backend(PROCESS)", or "rollback prepared \'NAME\'".',
  );
};

export const writeAheadLog: Check = async ({ owner, limits }) => {
  const { slots, archiveFails } = await readLogKeepers(owner);
  if (archiveFails) {
    return fault(
      'Archiving fails: the write-ahead log is kept until the disk is full.',
      'See archive_command and its log.',
    );
  }
  if (slots === null) return ok('Nothing keeps the write-ahead log but checkpoints and standbys that are there.');
  return warning(
    `Nobody reads the replication slots ${list(slots, limits)}, which keep the write-ahead log.`,
    'Start who reads them, or drop them: "select pg_drop_replication_slot(\'NAME\')"; set max_slot_wal_keep_size.',
  );
};

/** Reads go on without it, so what is wrong with it is no fault of the server. */
export const replica: Check = async ({ replica: given }) => {
  if (given === undefined) return ok('The primary answers all reads: READ_DATABASE_URL is not set.');
  const client = await given.borrow().catch((error: Error) => error);
  if (client instanceof Error) {
    const { message, cause } = client;
    const why = cause instanceof Error ? ` (${cause.message})` : '';
    return warning(`${message.replace(/\.$/, '')}${why}: the primary answers all reads.`, `See ${pageOfReplicas}.`);
  }
  const { feedback, delay } = await readReplay(client).finally(() => client.release());
  if (delay === '-1') {
    return warning(
      'max_standby_streaming_delay is -1 on the replica: one long query there holds up its replay, and with it all reads.',
      'Set it to 30s or less there.',
    );
  }
  if (!feedback) {
    return warning(
      'hot_standby_feedback is off on the replica: a vacuum of the primary holds up its replay until reads there have ended.',
      `Set hot_standby_feedback to on there: ${pageOfReplicas}.`,
    );
  }
  return ok('The replica streams from this primary and shows what was acknowledged.');
};

const pageOfReplicas = 'docs/high-availability.md#reads-from-a-replica';

export const pooler: Check = async ({ keepsSessions }) => {
  if (await keepsSessions()) return ok('A connection keeps its session: no pooler, or one in session mode.');
  return fault(
    'A pooler in transaction mode is in between: settings of a connection could stay on that of somebody else.',
    'Let it work in session mode, or name PostgreSQL itself: docs/operations.md#poolers.',
  );
};

export const keys: Check = async ({ service, limits }) => {
  const ending = await readEndingKeys(service, limits.keyDaysMin);
  if (ending.length === 0) return ok(`No key without a successor ends within ${limits.keyDaysMin} days.`);
  const shown = ending.map(({ key_id, expires_at }) => `${key_id} on ${expires_at.slice(0, 10)}`);
  return warning(`Keys end soon: ${list(shown, limits)}.`, 'Exchange each with "metrology-server keys rotate ID".');
};
