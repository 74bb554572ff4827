/** What a connection of a replica says about itself, and whether a read may use it. */
import type pg from 'pg';
import { within } from '../lib/within.ts';
import { cut } from './driver.ts';
import { DatabaseSilent } from './failures.ts';
import type { Position } from './primary-position.ts';
import { apiRole } from './roles.ts';
import { backendOf } from './session.ts';

export interface Look {
  identity: string;
  isStandby: boolean;
  /** Whether the role may see the timeline. */
  seesTimeline: boolean;
  /** The timeline that it is streaming; null while it streams nothing. */
  timeline: number | null;
  /** The bytes of log that it has to replay up to the position; 0 or less when it is there. */
  bytesBehind: number | null;
  /** The age of the last transaction that it has replayed. */
  seconds: number | null;
  /** Stands for this run of this server: another one behind the same address has another. */
  server: string;
  /** The process that answered, and the one that answered when the connection was made: a pooler may lend another one. */
  backend: number | undefined;
  firstBackend: number | undefined;
}

export type ReplicaFault = 'pooled' | 'lagging' | 'unreachable' | 'diverged' | 'blind' | 'unasked';

/** Why reads may not use the replica; the message is a sentence that everybody may read. */
export class Unfit extends Error {
  readonly fault: ReplicaFault;
  constructor(fault: ReplicaFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

/**
 * Looks on the connection itself, since a balancer may lead each connection to another server. The timeline is that of the
 * WAL receiver: it changes with the first byte of a new timeline, and that of the control file minutes later. It is read
 * after the position of the replay, so that what has been replayed up to that position is of no later timeline.
 * @throws DatabaseSilent when there is no answer in time; then the connection is cut
 */
export async function lookAt(client: pg.ClientBase, { lsn }: Position, msMax: number): Promise<Look> {
  const asked = client.query<Look>({
    name: 'look_at_replica',
    text: `
      select pg_wal_lsn_diff($1::pg_lsn, pg_last_wal_replay_lsn())::float8 as "bytesBehind",
        (select system_identifier from pg_control_system()) || ' ' ||
             (select oid from pg_database where datname = current_database()) as identity,
        pg_is_in_recovery() as "isStandby", pg_has_role('pg_read_all_stats', 'usage') as "seesTimeline",
        (select received_tli from pg_stat_wal_receiver where status = 'streaming') as timeline,
        extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8 as seconds,
        concat_ws(' ', inet_server_addr(), inet_server_port(), pg_postmaster_start_time()) as server,
        pg_backend_pid() as backend`,
    values: [lsn],
  });
  const { rows } = await within(asked, msMax, () => new DatabaseSilent(msMax)).catch((error) => {
    if (error instanceof DatabaseSilent) cut(client, error);
    throw error;
  });
  return { ...(rows[0] as Look), firstBackend: backendOf(client) };
}

/** Why a server that says this of itself may not be read; undefined when it shows all that the position holds. */
export function unfitness(look: Look, { identity, timeline }: Position): Unfit | undefined {
  if (look.backend !== look.firstBackend) return pooled();
  if (look.identity !== identity) {
    return new Unfit('diverged', 'READ_DATABASE_URL leads to another database than DATABASE_URL.');
  }
  if (!look.isStandby) {
    return new Unfit('diverged', 'READ_DATABASE_URL leads to a primary, not to a standby of this one.');
  }
  if (!look.seesTimeline) return new Unfit('blind', blind);
  if (look.timeline === null) return new Unfit('lagging', 'The replica receives nothing from the primary now.');
  if (look.timeline !== timeline) {
    return new Unfit('diverged', 'The replica follows another timeline than that of the primary.');
  }
  if (look.bytesBehind === null || look.bytesBehind > 0) {
    return new Unfit('lagging', 'The replica has not replayed yet what was acknowledged.');
  }
  return undefined;
}

/** What one read sets for its organization would stay on the connections of others. */
export const pooled = () =>
  new Unfit('pooled', 'READ_DATABASE_URL leads to a pooler in transaction mode: let it work in session mode.');

const blind = `The role ${apiRole} may not see which timeline the replica follows: run "grant pg_read_all_stats to ${apiRole}" on the primary.`;
