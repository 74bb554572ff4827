import { sql } from 'kysely';
import type pg from 'pg';
import type { Database } from '../database/database.ts';
import type { ChunkImage } from './chunk-image.ts';
import type { InitializeBody, StreamIds } from './schemas.ts';

/*
 * The statements of ingest. Those that take a client belong to the caller's transaction and need the channel locks that
 * lockChannels takes there. The hot ones are prepared by name; float8[] parameters are Buffers in binary format: encoding
 * 100 points so takes below 1 µs, as text 56 µs.
 */

export interface ChunkAddress {
  organizationId: string;
  dataId: string;
  chunkIndex: number;
  graceSeconds: number;
}

/** Which of the things that a new stream links to are the organization's own. */
export async function findLinks(database: Database, organizationId: string, links: InitializeBody) {
  const { rows } = await sql<{ instrument: boolean; sample: boolean; project: boolean }>`
    select
      exists (select from growth_instruments
              where organization_id = ${organizationId}::uuid and deleted_at is null
                and synth_source_id = ${links.synth_source_id ?? null}::integer) as instrument,
      exists (select from physical_samples
              where organization_id = ${organizationId}::uuid
                and physical_sample_id = ${links.physical_sample_id ?? null}::uuid) as sample,
      exists (select from projects
              where organization_id = ${organizationId}::uuid
                and project_id = ${links.project_id ?? null}::uuid) as project`.execute(database.kysely);
  return rows[0] as { instrument: boolean; sample: boolean; project: boolean };
}

export type NewStream = Omit<InitializeBody, 'stream_name'> & { stream_name: string; user_id: string };

/** Makes a stream and its processed entry, both or none. */
export async function insertStream(database: Database, organizationId: string, stream: NewStream): Promise<StreamIds> {
  const { rows } = await sql<StreamIds>`
    with stream as (
      insert into streams (organization_id, user_id, stream_name, points_per_chunk, instrument_type, synth_source_id,
                           physical_sample_id, project_id)
      values (${organizationId}::uuid, ${stream.user_id}::uuid, ${stream.stream_name}::text,
              ${stream.points_per_chunk}::integer, ${stream.instrument_type ?? null}::text,
              ${stream.synth_source_id ?? null}::integer, ${stream.physical_sample_id ?? null}::uuid,
              ${stream.project_id ?? null}::uuid)
      returning data_id, organization_id
    )
    insert into processed_data_entries (data_id, organization_id)
    select data_id, organization_id from stream
    returning data_id, processed_data_id`.execute(database.kysely);
  return rows[0] as StreamIds;
}

/** Marks a stream as finalized unless it is already. @returns its ids, or undefined for an unknown one. */
export async function finalizeStream(
  database: Database,
  organizationId: string,
  dataId: string,
): Promise<StreamIds | undefined> {
  await sql`
    update streams set finalized_at = clock_timestamp(), changed_at = clock_timestamp()
    where organization_id = ${organizationId}::uuid and data_id = ${dataId}::uuid and finalized_at is null`.execute(
    database.kysely,
  );
  return database.kysely
    .selectFrom('processed_data_entries')
    .select(['data_id', 'processed_data_id'])
    .where('organization_id', '=', organizationId)
    .where('data_id', '=', dataId)
    .executeTakeFirst();
}

const closedSql = (grace: string) =>
  `coalesce(s.finalized_at + make_interval(secs => ${grace}::float8) < clock_timestamp(), false)`;

export interface AddressedStream {
  pointsPerChunk: number;
  /** Finalized, and the grace for late chunks is over. */
  closed: boolean;
  /** The named channels that exist: their points, and the hash of the chunk that stands at the index, if one does. */
  channels: Map<string, { pointCount: number; contentHash: Buffer | null }>;
}

/** What stands at an index of a stream under some channels, without a lock. Undefined for an unknown stream. */
export async function readAddresses(
  database: Database,
  { organizationId, dataId, chunkIndex, graceSeconds }: ChunkAddress,
  channelNames: string[],
): Promise<AddressedStream | undefined> {
  const { rows } = await database.pool.query({
    name: 'read_addresses',
    text: `select s.points_per_chunk, ${closedSql('$5')} as closed, c.channel_name, c.point_count, k.content_hash
           from streams s
           left join channels c on c.data_id = s.data_id and c.channel_name = any ($4::text[])
           left join chunks k
             on k.data_id = c.data_id and k.channel_id = c.channel_id and k.chunk_index = $3::bigint
           where s.organization_id = $1::uuid and s.data_id = $2::uuid`,
    values: [organizationId, dataId, chunkIndex, channelNames, graceSeconds],
  });
  if (rows.length === 0) return undefined;
  const known = rows.filter((row) => row.channel_name !== null);
  return {
    pointsPerChunk: rows[0].points_per_chunk,
    closed: rows[0].closed,
    channels: new Map(
      known.map((row) => [row.channel_name, { pointCount: row.point_count, contentHash: row.content_hash }]),
    ),
  };
}

/** Makes the channels that are missing, in one order for everybody, so that two requests never wait for each other. */
export async function insertChannels(
  database: Database,
  { organizationId, dataId }: ChunkAddress,
  channelNames: string[],
): Promise<void> {
  await database.pool.query({
    name: 'insert_channels',
    text: `insert into channels (data_id, channel_name)
           select s.data_id, n.channel_name
           from streams s cross join unnest($3::text[]) as n (channel_name)
           where s.organization_id = $1::uuid and s.data_id = $2::uuid
           order by n.channel_name collate "C"
           on conflict do nothing`,
    values: [organizationId, dataId, channelNames],
  });
}

/** Locks the named channels in the order of their ids. @returns their ids by name, and whether the stream is closed now. */
export async function lockChannels(
  client: pg.PoolClient,
  { organizationId, dataId, graceSeconds }: ChunkAddress,
  channelNames: string[],
): Promise<{ closed: boolean; channels: Map<string, number> }> {
  const { rows } = await client.query({
    name: 'lock_channels',
    text: `select c.channel_id, c.channel_name, ${closedSql('$4')} as closed
           from streams s join channels c on c.data_id = s.data_id
           where s.organization_id = $1::uuid and s.data_id = $2::uuid and c.channel_name = any ($3::text[])
           order by c.channel_id
           for no key update of c`,
    values: [organizationId, dataId, channelNames, graceSeconds],
  });
  return {
    closed: rows.some((row) => row.closed),
    channels: new Map(rows.map((row) => [row.channel_name, row.channel_id])),
  };
}

/** A chunk that stands at the address, with the counters of its channel. */
export interface StoredChunk {
  contentHash: Buffer;
  pointCount: number;
  nullCount: number;
  timeMin: number | null;
  timeMax: number | null;
  units: string | null;
  channelPointCount: number;
  channelTimeMin: number | null;
  channelTimeMax: number | null;
}

/** The chunks that stand at an index of locked channels, by channel id. */
export async function readStoredChunks(
  client: pg.PoolClient,
  { dataId, chunkIndex }: ChunkAddress,
  channelIds: number[],
): Promise<Map<number, StoredChunk>> {
  const { rows } = await client.query({
    name: 'read_stored_chunks',
    text: `select k.channel_id, k.content_hash as "contentHash", k.point_count as "pointCount",
                  k.null_count as "nullCount", k.time_min as "timeMin", k.time_max as "timeMax", k.units,
                  c.point_count as "channelPointCount", c.time_min as "channelTimeMin", c.time_max as "channelTimeMax"
           from chunks k join channels c on c.data_id = k.data_id and c.channel_id = k.channel_id
           where k.data_id = $1::uuid and k.channel_id = any ($2::bigint[]) and k.chunk_index = $3::bigint`,
    values: [dataId, channelIds, chunkIndex],
  });
  return new Map(rows.map((row) => [row.channel_id, row]));
}

/** Parameters of one row of upsertChunks, and rows of one statement: PostgreSQL takes 65,535 parameters. */
const upsertCasts = [
  ...['bigint', 'float8', 'float8', 'integer', 'integer', 'boolean', 'bytea', 'text', 'float8[]', 'float8[]'],
];
const upsertRowsMax = 64;

/** Writes chunks of locked channels whole: a new row, or the replacement of the one that stands there. */
export async function upsertChunks(
  client: pg.PoolClient,
  address: ChunkAddress,
  pointsPerChunk: number,
  keyId: number,
  chunks: { channelId: number; image: ChunkImage }[],
): Promise<void> {
  const shared = [address.dataId, address.chunkIndex, address.chunkIndex * pointsPerChunk, keyId];
  for (let start = 0; start < chunks.length; start += upsertRowsMax) {
    const rows = chunks.slice(start, start + upsertRowsMax);
    await client.query({
      name: `upsert_chunks_${rows.length}`,
      text: upsertText(rows.length),
      values: [...shared, ...rows.flatMap(upsertValues)],
    });
  }
}

function upsertValues({ channelId, image }: { channelId: number; image: ChunkImage }): unknown[] {
  const { timeMin, timeMax, pointCount, nullCount, ascending, contentHash, units, timestamps, values } = image;
  return [channelId, timeMin, timeMax, pointCount, nullCount, ascending, contentHash, units, timestamps, values];
}

function upsertText(rowCount: number): string {
  const rows: string[] = [];
  for (let row = 0; row < rowCount; row++) {
    const first = 5 + row * upsertCasts.length;
    const own = upsertCasts.map((cast, i) => `$${first + i}::${cast}`);
    rows.push(`($1::uuid, $2::bigint, $3::bigint, $4::bigint, ${own.join(', ')})`);
  }
  const columns = ['time_min', 'time_max', 'point_count', 'null_count', 'ascending', 'content_hash', 'units'];
  const replaced = ['key_id', ...columns, 'timestamps', 'values'].map((column) => `${column} = excluded.${column}`);
  return `insert into chunks (data_id, chunk_index, start_offset, key_id, channel_id, ${columns.join(', ')}, timestamps, values)
          values ${rows.join(', ')}
          on conflict (data_id, channel_id, chunk_index) do update
          set ${replaced.join(', ')}, changed_at = clock_timestamp(), replaced_count = chunks.replaced_count + 1`;
}

/** What one written chunk adds to the counters of its channel. */
export interface ChannelGrowth {
  channelId: number;
  chunks: number;
  points: number;
  nulls: number;
  timeMin: number | null;
  timeMax: number | null;
  units: string | null;
}

/** Adds to the counters of locked channels. A unit counts when no higher chunk has one. @returns the new point counts. */
export async function addToChannels(
  client: pg.PoolClient,
  { dataId, chunkIndex }: ChunkAddress,
  growths: ChannelGrowth[],
): Promise<{ channelId: number; pointCount: number }[]> {
  const column = (name: keyof ChannelGrowth) => growths.map((growth) => growth[name]);
  const { rows } = await client.query({
    name: 'add_to_channels',
    text: `update channels c
           set chunk_count = c.chunk_count + g.chunks,
               point_count = c.point_count + g.points,
               null_count = c.null_count + g.nulls,
               time_min = least(c.time_min, g.time_min),
               time_max = greatest(c.time_max, g.time_max),
               units = case when g.has_newest_unit then g.units else c.units end,
               units_chunk_index = case when g.has_newest_unit then $2::bigint else c.units_chunk_index end,
               changed_at = clock_timestamp()
           from (
             select u.*, u.units <> '' and $2::bigint >= coalesce(o.units_chunk_index, -1) as has_newest_unit
             from unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::float8[], $8::float8[], $9::text[])
               as u (channel_id, chunks, points, nulls, time_min, time_max, units)
             join channels o on o.data_id = $1::uuid and o.channel_id = u.channel_id
           ) g
           where c.data_id = $1::uuid and c.channel_id = g.channel_id
           returning c.channel_id as "channelId", c.point_count as "pointCount"`,
    values: [
      dataId,
      chunkIndex,
      column('channelId'),
      column('chunks'),
      column('points'),
      column('nulls'),
      column('timeMin'),
      column('timeMax'),
      column('units'),
    ],
  });
  return rows;
}

/** Finds span and unit of locked channels anew from all their chunks, after a replacement may have taken them away. */
export async function recountChannels(
  client: pg.PoolClient,
  { dataId }: ChunkAddress,
  channelIds: number[],
): Promise<void> {
  await client.query({
    name: 'recount_channels',
    text: `update channels c
           set time_min = span.time_min, time_max = span.time_max,
               units = newest.units, units_chunk_index = newest.chunk_index
           from unnest($2::bigint[]) as wanted (channel_id)
           left join lateral (
             select min(k.time_min) as time_min, max(k.time_max) as time_max
             from chunks k where k.data_id = $1::uuid and k.channel_id = wanted.channel_id
           ) span on true
           left join lateral (
             select k.units, k.chunk_index from chunks k
             where k.data_id = $1::uuid and k.channel_id = wanted.channel_id and k.units <> ''
             order by k.chunk_index desc limit 1
           ) newest on true
           where c.data_id = $1::uuid and c.channel_id = wanted.channel_id`,
    values: [dataId, channelIds],
  });
}
