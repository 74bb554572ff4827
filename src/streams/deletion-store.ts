/**
 * Deleting, restoring and removing data entries. A deleted entry keeps its rows. A removed one loses its rows in
 * batches, each in a transaction of its own, so that nobody waits long for one of them and no transaction grows with
 * the stream.
 *
 * Removal leaves no row behind, even while somebody writes to the stream. The channels are removed first: a flush that
 * does not find its channel again stores nothing. The stream is removed last, when no new channel has come in between;
 * after that the insert of a channel fails. Until then the stream stays marked, so that a repeated call goes on where a
 * removal was interrupted.
 */
import type pg from 'pg';
import { type Actor, type AuditAction, actorParameter, auditEntries } from '../database/audit.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { inTransaction } from '../database/transactions.ts';
import type { StreamLimits } from './limits.ts';

/** How much one statement of a removal deletes. */
export type RemovalLimits = Pick<StreamLimits, 'removedRowsMax' | 'removedPointsMax'>;

/** Marks entries as deleted. @returns the ids of those that were visible */
export const deleteStreams = (organization: OrganizationDatabase, dataIds: string[]): Promise<string[]> =>
  marked(organization, dataIds, deletion);

const deletion: Marking = {
  action: 'stream.delete',
  which: 'deleted_at is null',
  update: 'set deleted_at = clock_timestamp()',
  answer: 'changed',
};

/** Makes deleted entries visible again. @returns the ids of those that are visible now */
export const restoreStreams = (organization: OrganizationDatabase, dataIds: string[]): Promise<string[]> =>
  marked(organization, dataIds, restoration);

const restoration: Marking = {
  action: 'stream.restore',
  which: 'removed_at is null',
  update: 'set deleted_at = null, changed_at = clock_timestamp()',
  unless: 'and s.deleted_at is not null',
  answer: 'found',
};

/**
 * Marks entries for removal, deleted or not.
 * @returns the ids of those that have rows, also after an earlier removal
 */
export const giveUpStreams = (organization: OrganizationDatabase, dataIds: string[]): Promise<string[]> =>
  marked(organization, dataIds, surrender);

// `least` leaves an earlier time as it is, and passes over NULL.
const surrender: Marking = {
  action: 'stream.remove',
  which: 'true',
  update: `
       set deleted_at = least(s.deleted_at, clock_timestamp()), removed_at = least(s.removed_at, clock_timestamp())`,
  answer: 'changed',
};

/** How streams are marked, and what is written into the audit log of those that have changed. */
interface Marking {
  action: AuditAction;
  /** Which of the entries are found. */
  which: string;
  update: string;
  /** Which of those that are found are changed; all by default. */
  unless?: string;
  answer: 'found' | 'changed';
}

/** The `with` of the statement that marks streams. `of` keeps it to one stream, and begins with `and`. */
const markingSql = ({ which, update, unless = '' }: Marking, of: (column: string) => string) => `
     found as materialized (
       select data_id from streams
       where organization_id = $1::uuid and data_id = any($2::uuid[]) and ${which} ${of('data_id')}
       order by data_id for no key update
     ), changed as (
       update streams s ${update}
       from found where s.data_id = found.data_id ${unless} ${of('s.data_id')}
       returning s.data_id, s.organization_id, s.stream_name
     )`;

/** What the audit log says of a stream. After its removal, its name is stored nowhere else. */
const ofStream = {
  organizationId: 'organization_id',
  dataId: 'data_id',
  details: `jsonb_build_object('stream_name', left(stream_name, 200))`,
};

interface Changed {
  data_id: string;
  organization_id: string;
  stream_name: string;
}

/** Marks streams and writes the entries of the audit log. @returns the ids that `answer` of the marking says */
async function marked(organization: OrganizationDatabase, dataIds: string[], marking: Marking): Promise<string[]> {
  const { organizationId, pool, actor } = organization;
  if (await organization.isDistributed()) return markedApart(organization, dataIds, marking);
  const { rows } = await pool.query<{ data_id: string }>(
    `with ${markingSql(marking, () => '')},
     audited as (${auditEntries(marking.action, { from: 'changed', ...ofStream }, '$3')})
     select data_id from ${marking.answer}`,
    [organizationId, dataIds, actorParameter(actor)],
  );
  return rows.map((row) => row.data_id);
}

/**
 * The same in a cluster: one stream after the other, each in a transaction of its own. The audit log is on the coordinator,
 * so its entry is a statement of its own.
 */
async function markedApart(organization: OrganizationDatabase, dataIds: string[], marking: Marking): Promise<string[]> {
  const { organizationId, pool, actor } = organization;
  const answer: string[] = [];
  for (const dataId of dataIds) {
    const isOne = await inTransaction(pool, async (client) => {
      const { rows } = await client.query<Changed>(
        `with ${markingSql(marking, (column) => `and ${column} = $3::uuid`)}
         select found.data_id, changed.organization_id, changed.stream_name
         from found left join changed on changed.data_id = found.data_id`,
        [organizationId, [dataId], dataId],
      );
      const changed = rows.filter((row) => row.organization_id !== null);
      if (changed.length > 0) await auditChanged(client, marking.action, changed, actor);
      return (marking.answer === 'found' ? rows : changed).length > 0;
    });
    if (isOne) answer.push(dataId);
  }
  return answer;
}

/** Writes the entries of streams that an earlier statement has changed. */
async function auditChanged(
  client: pg.PoolClient,
  action: AuditAction,
  changed: Changed[],
  actor: Actor,
): Promise<void> {
  const from = 'jsonb_to_recordset($2::jsonb) as changed (data_id uuid, organization_id uuid, stream_name text)';
  await client.query(auditEntries(action, { from, ...ofStream }, '$1'), [
    actorParameter(actor),
    JSON.stringify(changed),
  ]);
}

/** Removes all rows of an entry that is marked for removal. */
export async function removeStream(
  organization: OrganizationDatabase,
  dataId: string,
  limits: RemovalLimits,
): Promise<void> {
  const { organizationId, pool, actor } = organization;
  const isDistributed = await organization.isDistributed();
  do {
    await inTransaction(pool, (client) => removeChannels(client, organizationId, dataId, isDistributed));
    await removeRows(organization, dataId, 'chunks', ['channel_id', 'chunk_index'], limits);
    await removeRows(organization, dataId, 'chunk_revisions', ['channel_id', 'chunk_index', 'revision'], limits);
  } while (!(await inTransaction(pool, (client) => removeStreamRow(client, organizationId, dataId, actor))));
}

/**
 * Removes the channels. It locks them in the order that flushes use, and waits for flushes that have locked them. The nodes of
 * a cluster do not let the role of the API lock them beforehand, since Citus grants nothing on single columns. There a flush that
 * waits crosswise gives way: it does not wait for long.
 */
async function removeChannels(
  client: pg.PoolClient,
  organizationId: string,
  dataId: string,
  isDistributed: boolean,
): Promise<void> {
  const ids = [organizationId, dataId];
  if (!isDistributed) await client.query(`select from channels where ${ofGivenUp} order by channel_id for update`, ids);
  await client.query(`delete from channels where ${ofGivenUp}`, ids);
}

/**
 * True for a stream that is marked for removal. Also true after another removal has just removed the stream: that one may
 * not have seen all rows.
 */
const ofGivenUp = `
  data_id = $2::uuid and not exists (
    select from streams where data_id = $2::uuid and (organization_id <> $1::uuid or removed_at is null))`;

/** Removes the rows of a stream in batches, in the order of their key. */
async function removeRows(
  { organizationId, pool }: OrganizationDatabase,
  dataId: string,
  table: string,
  key: string[],
  limits: RemovalLimits,
): Promise<void> {
  const place = (first: number) => `(${key.map((_, i) => `$${first + i}::bigint`).join(', ')})`;
  const columns = key.join(', ');
  const pieceEnd = `
    select ${columns} from (
      select ${columns}, row_number() over piece as position, sum(point_count) over piece as points
      from (
        select ${columns}, point_count from ${table} where ${ofGivenUp} and (${columns}) > ${place(3)}
        order by ${columns} limit ${limits.removedRowsMax}
      ) as next
      window piece as (order by ${columns} rows unbounded preceding)
    ) as counted
    where position = 1 or points <= ${limits.removedPointsMax}
    order by position desc limit 1`;
  const removal = `
    delete from ${table}
    where ${ofGivenUp} and (${columns}) > ${place(3)} and (${columns}) <= ${place(3 + key.length)}`;
  let done = key.map(() => -1);
  for (;;) {
    const { rows } = await pool.query<Record<string, number>>(pieceEnd, [organizationId, dataId, ...done]);
    const [end] = rows;
    if (end === undefined) return;
    const next = key.map((column) => end[column] as number);
    await pool.query(removal, [organizationId, dataId, ...done, ...next]);
    done = next;
  }
}

/** @returns false, and removes nothing, when a channel has been made since the channels were removed */
async function removeStreamRow(
  client: pg.PoolClient,
  organizationId: string,
  dataId: string,
  actor: Actor,
): Promise<boolean> {
  // While this lock is held, no new channel can refer to the stream.
  const locked = await client.query(
    `select from streams
     where organization_id = $1::uuid and data_id = $2::uuid and removed_at is not null for update`,
    [organizationId, dataId],
  );
  // Another removal was faster.
  if (locked.rowCount === 0) return true;
  const { rowCount } = await client.query(`select from channels where data_id = $1::uuid limit 1`, [dataId]);
  if (rowCount !== 0) return false;
  const { rows: removed } = await client.query<Changed>(
    `delete from streams where organization_id = $1::uuid and data_id = $2::uuid
     returning data_id, organization_id, stream_name`,
    [organizationId, dataId],
  );
  await auditChanged(client, 'stream.removed', removed, actor);
  return true;
}
