/* Reads what an archive holds besides points, and marks a run for removal once its archive is complete. */
import type pg from 'pg';
import { actorParameter, auditEntries } from '../database/audit.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { timestampsOfChunk, valuesOfChunk } from '../database/stored-series.ts';
import { inTransaction } from '../database/transactions.ts';
import type { ArchivedChannel, ArchivedRun, ContentFacts } from './archive-format.ts';

/**
 * SQL of the state of a run `s` with the id `$2`: a hash that changes as soon as a chunk, the entry or a tag of the run
 * changes. Times enter it as numbers, because their text depends on settings of the session.
 */
const stateOf = `encode(sha256(convert_to(concat_ws('|',
    s.organization_id, s.stream_name, s.project_id, s.physical_sample_id, s.synth_source_id, s.pipeline_status, s.char_source_type, s.note,
    extract(epoch from s.created_at), extract(epoch from s.changed_at), extract(epoch from s.finalized_at),
    (select string_agg(tag_id::text, ',' order by tag_id) from stream_tags l where l.data_id = $2::uuid),
    (select string_agg(concat_ws(',', channel_id, chunk_count, point_count, null_count, extract(epoch from changed_at)), ';' order by channel_id)
     from channels c where c.data_id = $2::uuid)
  ), 'UTF8')), 'hex')`;

/** The times of the run are text with all digits, in UTC. @returns undefined for a run that does not exist or is deleted */
export async function findRun(
  { organizationId, pool }: OrganizationDatabase,
  dataId: string,
): Promise<Omit<ArchivedRun, 'organization'> | undefined> {
  const time = (column: string) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
  const { rows } = await pool.query<{ run: Omit<ArchivedRun, 'organization' | 'user'>; userId: string }>(
    `select s.user_id as "userId", json_build_object(
       'data_id', s.data_id, 'stream_name', s.stream_name, 'points_per_chunk', s.points_per_chunk,
       'instrument_type', s.instrument_type, 'pipeline_status', s.pipeline_status, 'char_source_type', s.char_source_type,
       'note', s.note, 'note_changed_at', ${time('s.note_changed_at')}, 'created_at', ${time('s.created_at')},
       'changed_at', ${time('s.changed_at')}, 'finalized_at', ${time('s.finalized_at')},
       'processed_data_id', p.processed_data_id, 'processed_created_at', ${time('p.created_at')},
       'state', ${stateOf},
       'instrument', (select json_build_object('id', synth_source_id, 'name', source_name, 'type', synth_source_type, 'model', source_model,
          'serial_id', serial_id) from growth_instruments i where i.synth_source_id = s.synth_source_id),
       'physical_sample', (select json_build_object('id', physical_sample_id, 'name', name) from physical_samples m
          where m.physical_sample_id = s.physical_sample_id),
       'project', (select json_build_object('id', project_id, 'name', name) from projects j where j.project_id = s.project_id),
       'tags', (select coalesce(json_agg(json_build_object('id', t.tag_id, 'name', t.name, 'put_on_at', ${time('l.created_at')}) order by t.name), '[]')
          from stream_tags l join tags t on t.tag_id = l.tag_id where l.data_id = $2::uuid)
     ) as run
     from streams s join processed_data_entries p on p.data_id = s.data_id
     where s.organization_id = $1::uuid and s.data_id = $2::uuid and p.data_id = $2::uuid and s.deleted_at is null`,
    [organizationId, dataId],
  );
  const [found] = rows;
  if (found === undefined) return undefined;
  const users = await pool.query<ArchivedRun['user']>(
    'select user_id as id, name from users where organization_id = $1::uuid and user_id = $2::uuid',
    [organizationId, found.userId],
  );
  return { ...found.run, user: users.rows[0] as ArchivedRun['user'] };
}

/** All channels of a run, also those without chunks, in the order of their first use. */
export async function listChannelsOfRun(
  { organizationId, pool }: OrganizationDatabase,
  dataId: string,
): Promise<(ArchivedChannel & { channel_id: number })[]> {
  const { rows } = await pool.query<ArchivedChannel & { channel_id: number }>(
    `select channel_id, channel_name, chunk_count, point_count, null_count, chunk_seconds_max,
            ${micros('created_at')} as created_micros, ${micros('changed_at')} as changed_micros
     from channels where organization_id = $1::uuid and data_id = $2::uuid order by channel_id`,
    [organizationId, dataId],
  );
  return rows;
}

/** SQL that turns a time into microseconds since 1970. */
const micros = (column: string) => `(extract(epoch from ${column}) * 1000000)::bigint`;

/** The facts of the next chunks of a channel, without their arrays. */
export async function listChunkFacts(
  { organizationId, pool }: OrganizationDatabase,
  { dataId, channelId }: { dataId: string; channelId: number },
  after: number,
  limit: number,
): Promise<ContentFacts[]> {
  const { rows } = await pool.query<ContentFacts>({
    name: 'list_chunk_facts',
    text: `select chunk_index, 0 as revision, point_count, null_count, units, encode(content_hash, 'hex') as content_hash, key_id,
                  ${micros('stored_at')} as stored_micros, ${micros('changed_at')} as changed_micros, replaced_count,
                  null as replaced_by_key_id, null as replacing_hash
           from chunks
           where organization_id = $1::uuid and data_id = $2::uuid and channel_id = $3::bigint and chunk_index > $4::bigint
           order by chunk_index limit $5::integer`,
    values: [organizationId, dataId, channelId, after, limit],
  });
  return rows;
}

/** A replaced content, with both series as binary float8[]. */
export interface KeptContent extends ContentFacts {
  timestamps: Buffer;
  values: Buffer;
}

/** The next replaced contents of a channel. */
export async function listKeptContents(
  { organizationId, pool }: OrganizationDatabase,
  { dataId, channelId }: { dataId: string; channelId: number },
  after: { chunkIndex: number; revision: number },
  limit: number,
): Promise<KeptContent[]> {
  const { rows } = await pool.query<KeptContent>({
    name: 'list_kept_contents',
    text: `select chunk_index, revision, point_count, null_count, units, encode(content_hash, 'hex') as content_hash, key_id,
                  ${micros('stored_at')} as stored_micros, ${micros('replaced_at')} as changed_micros, null as replaced_count,
                  replaced_by_key_id, encode(replacing_hash, 'hex') as replacing_hash,
                  array_send(${timestampsOfChunk('r')}) as timestamps, array_send(${valuesOfChunk('r')}) as "values"
           from chunk_revisions r
           where organization_id = $1::uuid and data_id = $2::uuid and channel_id = $3::bigint
             and (chunk_index, revision) > ($4::bigint, $5::integer)
           order by chunk_index, revision limit $6::integer`,
    values: [organizationId, dataId, channelId, after.chunkIndex, after.revision, limit],
  });
  return rows;
}

/** The keys that have stored or replaced something of a run, with the names of their users. */
export async function findKeysOfRun(
  { organizationId, pool }: OrganizationDatabase,
  keyIds: readonly number[],
): Promise<ArchivedKey[]> {
  const { rows } = await pool.query<ArchivedKey>(
    `select k.key_id, k.key_hint, u.name as user_name from api_keys k join users u on u.user_id = k.user_id
     where k.organization_id = $1::uuid and k.key_id = any($2::bigint[]) order by k.key_id`,
    [organizationId, keyIds],
  );
  return rows;
}

export interface ArchivedKey {
  key_id: number;
  key_hint: string;
  user_name: string;
}

/**
 * Marks a run for removal if it is still what was archived, and removes its channels in the same transaction. A flush that
 * waits for the lock of one of these channels then stores nothing and is answered 404. So no chunk is acknowledged that the
 * archive lacks. Channels are locked first, in the same order as everywhere.
 * @returns false, and changes nothing, if the run has changed since
 */
export async function giveUpUnchanged(
  { organizationId, pool, actor }: OrganizationDatabase,
  dataId: string,
  state: string,
): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    const ids = [organizationId, dataId];
    const ofRun = 'organization_id = $1::uuid and data_id = $2::uuid';
    await client.query(`select from channels where ${ofRun} order by channel_id for update`, ids);
    // This lock prevents new channels of the stream. A channel that was added before is part of the state.
    await client.query(`select from streams where ${ofRun} for update`, ids);
    const { rows } = await client.query<{ state: string }>(
      `select ${stateOf} as state from streams s where ${ofRun} and deleted_at is null`,
      ids,
    );
    if (rows[0]?.state !== state) return false;
    const archived = await client.query<{ name: string }>(
      `update streams set deleted_at = clock_timestamp(), removed_at = clock_timestamp() where ${ofRun}
       returning left(stream_name, 200) as name`,
      ids,
    );
    await client.query(auditEntries('stream.archive', archivedRun, '$3'), [
      ...ids,
      actorParameter(actor),
      archived.rows[0]?.name,
    ]);
    await client.query(`delete from channels where ${ofRun}`, ids);
    return true;
  });
}

/** What the audit log keeps. After the removal the name of the run is stored nowhere else. */
const archivedRun = {
  from: '(select $1::uuid as organization_id, $2::uuid as data_id, $4::text as stream_name) as archived',
  organizationId: 'organization_id',
  dataId: 'data_id',
  details: `jsonb_build_object('stream_name', stream_name)`,
};

/** The advisory lock of archiving, removing and restoring. */
const lockId = 7_203_118_440_018;

/** @returns false while another process holds the lock */
export async function takeLock(client: Pick<pg.PoolClient, 'query'>): Promise<boolean> {
  const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1::bigint) as taken', [lockId]);
  return rows[0]?.taken === true;
}

export async function giveLockBack(client: Pick<pg.PoolClient, 'query'>): Promise<void> {
  await client.query('select pg_advisory_unlock($1::bigint)', [lockId]);
}
