import type pg from 'pg';
import type { ConnectionSource } from '../database/access.ts';
import { type ChannelAddress, chunksOf } from '../database/channel-address.ts';
import { copyOut, copyOutOn, floatLiteral, integerLiteral, uuidLiteral } from '../database/copy-out.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { pointsOfChunk } from '../database/stored-series.ts';
import { inTransaction } from '../database/transactions.ts';
import { notFound } from '../errors.ts';
import { forEachCopyRow } from '../lib/copy-binary.ts';
import { GrowingBytes } from '../lib/growing-bytes.ts';
import { type HabitLimits, type UsualCounts, usualCountsMax, usualCountsOf } from '../lib/habits.ts';
import type { PlausibleTimes } from '../lib/time-unit.ts';
import { type AccountLimits, ChannelAccount } from './channel-account.ts';
import type { LedgerLimits } from './limits.ts';

/*
 * These statements read the chunks of a channel without their arrays, except chunks whose times are in doubt. Every
 * connection is back in the pool before any of its result is sent, so a slow client holds none.
 */

export interface StreamFacts {
  data_id: string;
  stream_name: string;
  points_per_chunk: number;
  instrument_type: string | null;
  synth_source_id: number | null;
  physical_sample_id: string | null;
  project_id: string | null;
  created_at: string;
  finalized_at: string | null;
  /** The database's clock at this reading. */
  read_at: string;
}

export interface ChannelName {
  channel_id: number;
  channel_name: string;
}

/** @throws ApiError 404 for an id that is unknown, deleted or of another organization */
export async function findStreamFacts(
  { organizationId, pool }: OrganizationDatabase,
  dataId: string,
): Promise<StreamFacts> {
  const { rows } = await pool.query<StreamFacts>({
    name: 'find_stream_facts',
    text: `select data_id, stream_name, points_per_chunk, instrument_type, synth_source_id, physical_sample_id,
                  project_id, created_at, finalized_at, clock_timestamp() as read_at
           from streams where data_id = $1::uuid and organization_id = $2::uuid and deleted_at is null`,
    values: [dataId, organizationId],
  });
  if (rows[0] === undefined) throw notFound('data_id');
  return rows[0];
}

/** The channels that hold chunks, all or those with the given names, in the order of the UTF-8 bytes of their names. */
export async function listChannelNames(
  { organizationId, pool }: OrganizationDatabase,
  dataId: string,
  names?: readonly string[],
): Promise<ChannelName[]> {
  const { rows } = await pool.query<ChannelName>({
    name: 'list_channel_names',
    text: `select c.channel_id, c.channel_name
           from channels c join streams s on s.data_id = c.data_id
           where c.data_id = $1::uuid and s.organization_id = $2::uuid and s.deleted_at is null and c.chunk_count > 0
             and ($3::text[] is null or c.channel_name = any ($3::text[]))
           order by convert_to(c.channel_name, 'UTF8')`,
    values: [dataId, organizationId, names ?? null],
  });
  return rows;
}

/**
 * Reads all chunks of a channel in one snapshot: pages of one transaction, which waits for no client.
 * @param rest is awaited between pages
 * @throws ApiError 404 when the stream is being removed
 */
export async function readAccount(
  organization: OrganizationDatabase,
  stream: Pick<StreamFacts, 'data_id' | 'points_per_chunk' | 'finalized_at'>,
  channel: ChannelName,
  limits: AccountLimits & Pick<LedgerLimits, 'pageChunksMax'>,
  rest: () => Promise<void>,
): Promise<ChannelAccount> {
  const account = await inTransaction(organization.pool, async (client) => {
    await client.query('set transaction isolation level repeatable read, read only');
    // A removal hides the stream before it removes the first chunk. So a snapshot that shows the stream has all its chunks.
    await requireStream(client, organization.organizationId, stream.data_id);
    const chunks = chunksOf(organization, addressOf(stream.data_id, channel));
    const usual = await readUsualCounts(client, chunks, stream.points_per_chunk, limits);
    const account = new ChannelAccount(stream.points_per_chunk, usual, limits);
    const image = new GrowingBytes();
    // Whether the stream is finalized is taken from the earlier read, which the answer already shows, and not from this
    // snapshot.
    const isLate =
      stream.finalized_at === null
        ? 'false'
        : `changed_at > (select finalized_at from streams where data_id = ${uuidLiteral(stream.data_id)})`;
    const columns = `chunk_index, point_count, null_count, time_min, time_max, ascending, units, stored_at, changed_at,
      replaced_count, ${isLate}, content_hash`;
    const { pageChunksMax } = limits;
    const pageAfter = (index: number) => `
      select page.*, ${unlessPlausible(
        limits,
        `(select ${firstImplausibleTime(limits)} from chunks
        where ${chunks} and chunks.chunk_index = page.chunk_index)`,
      )}
      from (
        select ${columns} from chunks where ${chunks} and chunk_index > ${integerLiteral(index)}
        order by chunk_index limit ${integerLiteral(pageChunksMax)}
      ) as page order by page.chunk_index`;
    while ((await addPage(client, account, pageAfter, image, rest)) === pageChunksMax);
    account.finish();
    return account;
  });
  // The channel had chunks when it was listed, and chunks are only removed together with their stream.
  if (account.chunkCount === 0) throw notFound('data_id');
  return account;
}

/**
 * How many points the chunks of a channel usually have. This is read first, so that the first chunk can already be
 * compared.
 */
async function readUsualCounts(
  client: Pick<ConnectionSource, 'query'>,
  chunks: string,
  pointsPerChunk: number,
  limits: HabitLimits,
): Promise<UsualCounts> {
  const { rows } = await client.query<{ pointCount: number; chunks: number; total: number }>(
    `select point_count as "pointCount", count(*)::float8 as chunks, sum(count(*)) over ()::float8 as total
     from chunks where ${chunks} group by point_count order by chunks desc limit ${integerLiteral(usualCountsMax(limits))}`,
  );
  return usualCountsOf(rows, rows[0]?.total ?? 0, pointsPerChunk, limits);
}

/**
 * Evaluates `doubtful` only for rows of the page whose times are in doubt, else null. Arrays are looked up for those rows
 * only: with the arrays in a column of the page, PostgreSQL would sort them too, on disk.
 */
function unlessPlausible({ plausibleSecondsMin, plausibleSecondsMax }: PlausibleTimes, doubtful: string): string {
  const range = `between ${floatLiteral(plausibleSecondsMin)} and ${floatLiteral(plausibleSecondsMax)}`;
  return `case when page.ascending and page.time_min ${range} and page.time_max ${range} then null else ${doubtful} end`;
}

/** The first implausible timestamp of a chunk. Its array is read only where the span of its times leaves a doubt. */
function firstImplausibleTime({ plausibleSecondsMin, plausibleSecondsMax }: PlausibleTimes): string {
  const range = `between ${floatLiteral(plausibleSecondsMin)} and ${floatLiteral(plausibleSecondsMax)}`;
  return `case when ascending and time_min ${range} and time_max ${range} then null else (
    select p.seconds from ${pointsOfChunk('chunks')} p
    where p.seconds not ${range} order by p.place limit 1) end`;
}

/** @throws ApiError 404 for a stream that does not exist any more in the snapshot of the transaction */
async function requireStream(
  client: Pick<ConnectionSource, 'query'>,
  organizationId: string,
  dataId: string,
): Promise<void> {
  const { rowCount } = await client.query({
    name: 'require_stream',
    text: 'select from streams where data_id = $1::uuid and organization_id = $2::uuid and deleted_at is null',
    values: [dataId, organizationId],
  });
  if (rowCount === 0) throw notFound('data_id');
}

/** @returns the number of chunks that were added */
async function addPage(
  client: pg.PoolClient,
  account: ChannelAccount,
  pageAfter: (index: number) => string,
  image: GrowingBytes,
  rest: () => Promise<void>,
) {
  const page = await copyOutOn(client, pageAfter(account.holes.highestIndex), image);
  await rest();
  let count = 0;
  forEachCopyRow(page, (row) => {
    count++;
    account.add({
      chunkIndex: row.int8(0),
      pointCount: row.int4(1),
      nullCount: row.int4(2),
      timeMin: row.isNull(3) ? null : row.float8(3),
      timeMax: row.isNull(4) ? null : row.float8(4),
      ascending: row.bool(5),
      units: row.isNull(6) ? null : row.text(6),
      storedMicros: row.int8(7),
      changedMicros: row.int8(8),
      replacedCount: row.int4(9),
      isLate: row.bool(10),
      contentHash: row.bytes(11),
      implausibleTime: row.isNull(12) ? null : row.float8(12),
    });
  });
  return count;
}

/**
 * The next content hashes of a channel after an index, in order, at most `countMax`. Fewer mean that they are the last.
 * @throws ApiError 404 when the stream has been deleted meanwhile: the hashes may be incomplete then
 */
export async function readContentHashes(
  organization: OrganizationDatabase,
  dataId: string,
  channel: ChannelName,
  afterIndex: number,
  countMax: number,
): Promise<{ chunkIndex: number; contentHash: string }[]> {
  const page = await copyOut(
    organization,
    `select chunk_index, content_hash from chunks
     where ${chunksOf(organization, addressOf(dataId, channel))} and chunk_index > ${integerLiteral(afterIndex)}
     order by chunk_index limit ${integerLiteral(countMax)}`,
  );
  const hashes: { chunkIndex: number; contentHash: string }[] = [];
  // A removal hides the stream first. So if the stream is still visible after the read, the read was complete.
  await requireStream(organization.pool, organization.organizationId, dataId);
  forEachCopyRow(page, (row) => hashes.push({ chunkIndex: row.int8(0), contentHash: row.bytes(1).toString('hex') }));
  return hashes;
}

const addressOf = (dataId: string, { channel_id: channelId }: ChannelName): ChannelAddress => ({ dataId, channelId });
