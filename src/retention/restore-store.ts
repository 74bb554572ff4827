/* Puts an archived run back; it stays hidden until it is complete. For the operator's command only: no route calls it. */
import type pg from 'pg';
import { textArray } from '../database/array-literal.ts';
import { type Actor, actorParameter, auditEntries } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import { encodeFloat8Array } from '../database/float8-array.ts';
import { inTransaction } from '../database/transactions.ts';
import {
  columnNames,
  keptColumns,
  rowsParameters,
  rowsParametersCount,
  rowsSqlWith,
} from '../streams/chunk-columns.ts';
import type { KnownRow } from '../streams/ingest-rows.ts';
import type { ArchivedChannel, ArchivedRun, ContentFacts } from './archive-format.ts';

/** A run in the database that has the id of an archived one. */
export interface RemainingRun {
  organizationId: string;
  isGivenUp: boolean;
  isDeleted: boolean;
}

export async function findRemainingRun(database: Database, dataId: string): Promise<RemainingRun | undefined> {
  const { rows } = await database.everyOrganization.upkeep.pool.query<RemainingRun>(
    `select organization_id as "organizationId", removed_at is not null as "isGivenUp", deleted_at is not null as "isDeleted"
     from streams where data_id = $1::uuid`,
    [dataId],
  );
  return rows[0];
}

/** The catalogue rows that a run is linked to; null where no row has that id or name any more. */
export interface MatchedLinks {
  synth_source_id: number | null;
  physical_sample_id: string | null;
  project_id: string | null;
}

/** Finds the rows by id, else by name, within an organization. */
export async function matchLinks(
  database: Database,
  organizationId: string,
  { instrument, physical_sample: sample, project }: ArchivedRun,
): Promise<MatchedLinks> {
  const one = (table: string, id: string, name: string, [idAt, nameAt]: [number, number], type: string) =>
    `(select ${id} from ${table} where organization_id = $1::uuid
        and (${id} = $${idAt}::${type} or lower(btrim(${name})) = lower(btrim($${nameAt}::text)))
      order by ${id} = $${idAt}::${type} desc limit 1) as ${id}`;
  const { rows } = await database.everyOrganization.upkeep.pool.query<MatchedLinks>(
    `select ${one('growth_instruments', 'synth_source_id', 'source_name', [2, 3], 'integer')},
            ${one('physical_samples', 'physical_sample_id', 'name', [4, 5], 'uuid')},
            ${one('projects', 'project_id', 'name', [6, 7], 'uuid')}`,
    [organizationId, ...[instrument, sample, project].flatMap((linked) => [linked?.id ?? null, linked?.name ?? null])],
  );
  return rows[0] as MatchedLinks;
}

/** The keys that are still the same as in the archive: same id and same hint. */
export async function findSameKeys(
  database: Database,
  organizationId: string,
  keys: readonly { key_id: number; key_hint: string }[],
): Promise<Set<number>> {
  const { rows } = await database.everyOrganization.upkeep.pool.query<{ key_id: number }>(
    `select k.key_id from unnest($2::bigint[], $3::text[]) as known (key_id, key_hint)
     join api_keys k on k.key_id = known.key_id and k.key_hint = known.key_hint and k.organization_id = $1::uuid`,
    [organizationId, keys.map(({ key_id }) => key_id), keys.map(({ key_hint }) => key_hint)],
  );
  return new Set(rows.map(({ key_id }) => key_id));
}

export interface Owner {
  organizationId: string;
  userId: string;
}

/**
 * Creates the run and its channels, in the order in which the channels were first created. The run is marked as being
 * removed, so that it is hidden, and nobody can take back the deletion of a half restored run.
 * @returns the channel ids by name
 */
export function beginRestore(
  database: Database,
  { organizationId, userId }: Owner,
  run: ArchivedRun,
  links: MatchedLinks,
  channels: readonly ArchivedChannel[],
): Promise<Map<string, number>> {
  return inTransaction(database.everyOrganization.upkeep.pool, async (client) => {
    await client.query(
      `insert into streams (data_id, organization_id, user_id, stream_name, points_per_chunk, instrument_type, synth_source_id,
         physical_sample_id, project_id, pipeline_status, char_source_type, note, note_changed_at, created_at, changed_at,
         finalized_at, deleted_at, removed_at)
       values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::integer, $6::text, $7::integer, $8::uuid, $9::uuid, $10::text, $11::text,
         $12::text, $13::timestamptz, $14::timestamptz, $15::timestamptz, $16::timestamptz, clock_timestamp(), clock_timestamp())`,
      [
        run.data_id,
        organizationId,
        userId,
        run.stream_name,
        run.points_per_chunk,
        run.instrument_type,
        links.synth_source_id,
        links.physical_sample_id,
        links.project_id,
        run.pipeline_status,
        run.char_source_type,
        run.note,
        run.note_changed_at,
        run.created_at,
        run.changed_at,
        run.finalized_at,
      ],
    );
    await client.query(
      `insert into processed_data_entries (processed_data_id, data_id, organization_id, created_at)
       values ($1::uuid, $2::uuid, $3::uuid, $4::timestamptz)`,
      [run.processed_data_id, run.data_id, organizationId, run.processed_created_at],
    );
    const { rows } = await client.query<{ channel_name: string; channel_id: number }>(
      `insert into channels (organization_id, data_id, channel_name)
       select $1::uuid, $2::uuid, name from unnest($3::text[]) with ordinality as c (name, position) order by position
       returning channel_name, channel_id`,
      [organizationId, run.data_id, textArray(channels.map(({ channel_name }) => channel_name))],
    );
    return new Map(rows.map(({ channel_name, channel_id }) => [channel_name, channel_id]));
  });
}

/** A content that is restored. */
export interface RestoredRow extends KnownRow {
  facts: ContentFacts;
  replacedByKeyId: number;
}

/**
 * Stores contents of one run: either chunks, or replaced contents.
 * @throws Error when the run was removed meanwhile
 */
export function insertContents(database: Database, rows: readonly RestoredRow[], areRevisions: boolean): Promise<void> {
  return inTransaction(database.everyOrganization.upkeep.pool, async (client) => {
    const channelIds = [...new Set(rows.map(({ channelId }) => channelId))];
    const { rowCount } = await client.query(
      'select from channels where data_id = $1::uuid and channel_id = any($2::bigint[]) order by channel_id for no key update',
      [rows[0]?.item.dataId, channelIds],
    );
    if (rowCount !== channelIds.length) throw new Error('the run was removed while it was restored');
    await client.query({
      name: areRevisions ? 'restore_revisions' : 'restore_chunks',
      text: areRevisions ? revisionsSql : chunksSql,
      values: [...rowsParameters(rows), ...extraParameters(rows)],
    });
  });
}

/** Columns besides those of a chunk. They are sent as float64: all are whole numbers below 2^53. */
const extras: { name: string; of: (row: RestoredRow) => number }[] = [
  { name: 'stored_micros', of: ({ facts }) => facts.stored_micros },
  { name: 'changed_micros', of: ({ facts }) => facts.changed_micros },
  { name: 'replaced_count', of: ({ facts }) => facts.replaced_count ?? 0 },
  { name: 'revision', of: ({ facts }) => facts.revision },
  { name: 'replaced_by_key_id', of: ({ replacedByKeyId }) => replacedByKeyId },
];
const replacingAt = rowsParametersCount + extras.length + 1;

const extraParameters = (rows: readonly RestoredRow[]) => [
  ...extras.map(({ of }) => encodeFloat8Array(rows.map(of))),
  textArray(rows.map(({ facts }) => facts.replacing_hash)),
];

/** Computed without a time zone: a cluster takes no update that computes with one. */
const timeOf = (micros: string) => `(timestamp 'epoch' + ${micros} * interval '1 microsecond') at time zone 'UTC'`;
const restored = rowsSqlWith({
  arrays: [
    ...extras.map(({ name }, i) => ({ name, array: `$${rowsParametersCount + 1 + i}::float8[]` })),
    { name: 'replacing_hash', array: `$${replacingAt}::text[]` },
  ],
  columns: [
    `${timeOf('u.stored_micros')} as stored_at`,
    `${timeOf('u.changed_micros')} as changed_at`,
    'u.replaced_count::integer as replaced_count',
    'u.revision::integer as revision',
    'u.replaced_by_key_id::bigint as replaced_by_key_id',
    `decode(u.replacing_hash, 'hex') as replacing_hash`,
  ],
});

/** Where an insert returns nothing, Citus inserts by a COPY, which policies forbid. */
const returning = 'returning data_id';

const chunksSql = `
  insert into chunks (${columnNames}, stored_at, changed_at, replaced_count)
  select ${columnNames}, stored_at, changed_at, replaced_count from (${restored}) r ${returning}`;

const revisionsSql = `
  insert into chunk_revisions (${keptColumns}, stored_at, replaced_at, revision, replaced_by_key_id, replacing_hash)
  select ${keptColumns}, stored_at, changed_at, revision, replaced_by_key_id, replacing_hash from (${restored}) r ${returning}`;

/**
 * Sets the counters of the channels from their chunks, puts the tags on, and makes the run visible. The restore counts as a
 * change of the run, so that no rule archives it again at once.
 * @throws Error, and leaves the run hidden, when the counters are not those of the archive
 */
export function finishRestore(
  database: Database,
  { organizationId, userId }: Owner,
  run: ArchivedRun,
  channels: readonly ArchivedChannel[],
  actor: Actor,
): Promise<void> {
  return inTransaction(database.everyOrganization.upkeep.pool, async (client) => {
    await client.query('select from channels where data_id = $1::uuid order by channel_id for update', [run.data_id]);
    await client.query('select from streams where data_id = $1::uuid for update', [run.data_id]);
    await countChannels(client, run, channels);
    for (const { name, put_on_at } of run.tags)
      await putTagOn(client, { organizationId, userId }, run, name, put_on_at);
    await client.query(
      'update streams set deleted_at = null, removed_at = null, changed_at = clock_timestamp() where data_id = $1::uuid',
      [run.data_id],
    );
    await client.query(auditEntries('stream.unarchive', restoredRun, '$3'), [
      organizationId,
      run.data_id,
      actorParameter(actor),
      run.stream_name,
    ]);
  });
}

const restoredRun = {
  from: '(select $1::uuid as organization_id, $2::uuid as data_id, left($4::text, 200) as stream_name) as restored',
  organizationId: 'organization_id',
  dataId: 'data_id',
  details: `jsonb_build_object('stream_name', stream_name)`,
};

async function countChannels(client: pg.PoolClient, run: ArchivedRun, channels: readonly ArchivedChannel[]) {
  const of = (column: keyof ArchivedChannel) =>
    encodeFloat8Array(channels.map((channel) => channel[column] as number | null));
  const { rowCount } = await client.query(
    `update channels c
     set chunk_count = k.chunks, point_count = k.points, null_count = k.nulls, time_min = k.time_min, time_max = k.time_max,
         units = newest.units, units_chunk_index = newest.chunk_index, chunk_seconds_max = a.chunk_seconds_max,
         created_at = ${timeOf('a.created_micros')},
         changed_at = ${timeOf('a.changed_micros')}
     from (
       select unnest($2::text[]) as channel_name, unnest($3::float8[]) as chunks, unnest($4::float8[]) as points,
              unnest($5::float8[]) as nulls, unnest($6::float8[]) as chunk_seconds_max, unnest($7::float8[]) as created_micros,
              unnest($8::float8[]) as changed_micros
     ) a
     join channels found on found.data_id = $1::uuid and found.channel_name = a.channel_name
     cross join lateral (
       select count(*) as chunks, coalesce(sum(point_count), 0) as points, coalesce(sum(null_count), 0) as nulls,
              min(time_min) as time_min, max(time_max) as time_max
       from chunks k where k.data_id = $1::uuid and k.channel_id = found.channel_id
     ) k
     left join lateral (
       select n.units, n.chunk_index from chunks n
       where n.data_id = $1::uuid and n.channel_id = found.channel_id and n.units is not null
       order by n.chunk_index desc limit 1
     ) newest on true
     where c.data_id = $1::uuid and c.channel_id = found.channel_id
       and k.chunks = a.chunks and k.points = a.points and k.nulls = a.nulls`,
    [
      run.data_id,
      textArray(channels.map(({ channel_name }) => channel_name)),
      of('chunk_count'),
      of('point_count'),
      of('null_count'),
      of('chunk_seconds_max'),
      of('created_micros'),
      of('changed_micros'),
    ],
  );
  if (rowCount !== channels.length)
    throw new Error(`run ${run.data_id} was changed by somebody else while it was restored`);
}

/** Puts a tag on the run. A tag that does not exist any more is created again. */
async function putTagOn(
  client: pg.PoolClient,
  { organizationId, userId }: Owner,
  run: ArchivedRun,
  name: string,
  at: string,
) {
  await client.query(
    `insert into tags (organization_id, user_id, name) values ($1::uuid, $2::uuid, $3::text) on conflict do nothing`,
    [organizationId, userId, name],
  );
  await client.query(
    `insert into stream_tags (data_id, tag_id, organization_id, created_at)
     select $1::uuid, tag_id, organization_id, $4::timestamptz from tags
     where organization_id = $2::uuid and lower(btrim(name)) = lower(btrim($3::text))
     on conflict do nothing ${returning}`,
    [run.data_id, organizationId, name, at],
  );
}
