import type pg from 'pg';
import { bigintArray, uuidArray } from '../database/binary-array.ts';
import type { ChannelAddress } from '../database/channel-address.ts';
import { copyRows, integerLiteral as integer, uuidLiteral as uuid } from '../database/copy-out.ts';
import type { Database } from '../database/database.ts';
import { decodeSeries, readSeries, seriesFields, timesColumns, valuesColumns } from '../database/stored-series.ts';
import { inOneTrip, type Patience } from '../database/transactions.ts';
import type { CopyRow } from '../lib/copy-binary.ts';
import { groupBy } from '../lib/group-by.ts';
import { fanOut } from '../points/overview.ts';
import {
  type AddressedBlock,
  type Block,
  type BlockAddress,
  blockColumns,
  childrenOf,
  type StoredBlockRow,
  toBlock,
} from './block.ts';

/** A stored chunk with its summary and its arrays; NaN stands for null. */
export interface ChildChunk {
  pointCount: number;
  timeMin: number;
  timeMax: number;
  valueMin: number;
  valueMinTime: number;
  valueMax: number;
  valueMaxTime: number;
  contentHash: Buffer;
  times: Float64Array;
  values: Float64Array;
}

/** Reads the chunks of a block of level 1 and visits each as it arrives, in order of index. */
export async function visitChunks(
  { everyOrganization: { upkeep } }: Database,
  { dataId, channelId, block }: BlockAddress,
  rest: () => Promise<void>,
  visit: (chunk: ChildChunk) => void,
): Promise<void> {
  const { first, last } = childrenOf(block);
  const summary = 'point_count, time_min, time_max, value_min, value_min_time, value_max, value_max_time, content_hash';
  const query = `select ${[summary, ...timesColumns, ...valuesColumns].join(', ')} from chunks
    where data_id = ${uuid(dataId)} and channel_id = ${integer(channelId)}
      and chunk_index between ${integer(first)} and ${integer(last)} order by chunk_index`;
  await copyRows(upkeep, query, rest, (row) => {
    const pointCount = row.int4(0);
    visit({
      pointCount,
      timeMin: numberOf(row, 1),
      timeMax: numberOf(row, 2),
      valueMin: numberOf(row, 3),
      valueMinTime: numberOf(row, 4),
      valueMax: numberOf(row, 5),
      valueMaxTime: numberOf(row, 6),
      contentHash: Buffer.from(row.bytes(7)),
      times: decodeSeries(readSeries(row, 8, pointCount)),
      values: decodeSeries(readSeries(row, 8 + seriesFields, pointCount)),
    });
  });
}

const numberOf = (row: CopyRow, field: number) => (row.isNull(field) ? Number.NaN : row.float8(field));

/** The stored children of a block of level 2 or higher, in order. */
export async function listBlocksBelow(
  { everyOrganization: { upkeep } }: Database,
  { dataId, channelId, level, block }: BlockAddress,
): Promise<Block[]> {
  const { first, last } = childrenOf(block);
  const { rows } = await upkeep.pool.query<StoredBlockRow>(
    `select ${blockColumns} from overviews
     where data_id = $1::uuid and channel_id = $2::bigint and "level" = $3::smallint and block between $4::bigint and $5::bigint
     order by block`,
    [dataId, channelId, level - 1, first, last],
  );
  return rows.map(toBlock);
}

/**
 * Stores blocks of one level in one transaction. A block is stored only if the hashes of its children are still those that it was made
 * from. Locks on the channels keep chunks from being replaced meanwhile; they are taken in the order that every transaction uses.
 * @returns how many were stored; the others have changed children, or another server has stored them
 */
export async function storeBlocks(
  database: Database,
  blocks: readonly AddressedBlock[],
  patience: Patience,
): Promise<number> {
  if (!(await database.isDistributed())) return storeTogether(database, blocks, patience);
  let stored = 0;
  // In a cluster, a statement that writes names one stream. Its transaction is then one of one node.
  for (const [dataId, own] of groupBy(blocks, ({ address }) => address.dataId))
    stored += await storeTogether(database, own, patience, dataId);
  return stored;
}

/** @param stream the stream of all blocks, if the statements shall name it */
async function storeTogether(
  { everyOrganization: { ingest } }: Database,
  unordered: readonly AddressedBlock[],
  patience: Patience,
  stream?: string,
): Promise<number> {
  const blocks = unordered.toSorted((one, other) => one.address.channelId - other.address.channelId);
  const addresses = blocks.map(({ address }) => address);
  const statistics = blocks.map((one) => one.statistics);
  const channelIds = bigintArray(addresses.map(({ channelId }) => channelId));
  const lock =
    stream === undefined
      ? {
          name: 'lock_channels_of_overviews',
          text: `select from unnest($1::bigint[]) as r (channel_id)
                 cross join lateral (select from channels where channel_id = r.channel_id limit 1 for share) c`,
          values: [channelIds],
        }
      : {
          name: 'lock_channels_of_stream',
          text: `select 1 from channels where data_id = $2::uuid and channel_id = any ($1::bigint[])
                 order by channel_id for share`,
          values: [channelIds, stream],
        };
  const level = addresses[0]?.level ?? 1;
  const insert = {
    name: `store_overviews_of_${level === 1 ? 'chunks' : 'overviews'}${stream === undefined ? '' : '_of_stream'}`,
    text: insertSql(level === 1, stream === undefined ? 'r.data_id' : '$12::uuid'),
    values: [
      ...[
        channelIds,
        uuidArray(addresses.map(({ dataId }) => dataId)),
        bigintArray(addresses.map(({ block }) => block)),
      ],
      ...[blocks.map(({ children }) => children), blocks.map(({ contentsHash }) => contentsHash)],
      ...[statistics.map(({ valueCount }) => valueCount), statistics.map(({ absentCount }) => absentCount)],
      ...[statistics.map(({ sum }) => sum), statistics.map(({ sumRest }) => sumRest)],
      ...[statistics.map(({ squares }) => squares), level, ...(stream === undefined ? [] : [stream])],
    ],
  };
  const [, , { rowCount }] = await inOneTrip<[unknown, unknown, pg.QueryResult]>(
    ingest,
    (client) => [client.query(withoutDisk), client.query(lock), client.query(insert)],
    patience,
  );
  return rowCount ?? 0;
}

/** @param stream SQL of the stream of a block */
function insertSql(isOfChunks: boolean, stream: string): string {
  const [hash, table, number, below] = isOfChunks
    ? ['content_hash', 'chunks', 'chunk_index', '']
    : ['contents_hash', 'overviews', 'block', 'and "level" = $11::smallint - 1'];
  return `
    insert into overviews (organization_id, data_id, channel_id, "level", block, children, contents_hash,
      value_count, absent_count, value_sum, value_sum_rest, value_squares)
    select c.organization_id, ${stream}, r.channel_id, $11::smallint, r.block, r.children, r.contents_hash,
      r.value_count, r.absent_count, r.value_sum, r.value_sum_rest, r.value_squares
    from unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bigint[], $7::bigint[],
        $8::float8[], $9::float8[], $10::float8[])
      as r (channel_id, data_id, block, children, contents_hash, value_count, absent_count, value_sum, value_sum_rest,
        value_squares)
    cross join lateral (
      select organization_id from channels where channel_id = r.channel_id and data_id = ${stream} limit 1
    ) c
    where (
      select sha256(string_agg(${hash}, ''::bytea order by ${number})) from (
        select ${hash}, ${number} from ${table}
        where data_id = ${stream} and channel_id = r.channel_id ${below}
          and ${number} between r.block * ${fanOut} and r.block * ${fanOut} + ${fanOut - 1}
        offset 0
      ) children
    ) = r.contents_hash
    on conflict do nothing`;
}

/** The commit does not wait for the disk: a block that is lost in a crash is made again. */
const withoutDisk = 'set local synchronous_commit = off';

/** The blocks that are missing in a piece of a channel. */
export interface LackingPiece {
  /** Missing blocks of level 1 that can be made. */
  blocks: number[];
  /** The chunk index where the next piece begins; null at the end of the channel. */
  next: number | null;
}

/** Searches the next `chunksMax` chunks of a channel, from an index on, for missing blocks of which all chunks are stored. */
export async function findLackingBlocks(
  { everyOrganization: { upkeep } }: Database,
  { dataId, channelId }: ChannelAddress,
  fromChunk: number,
  chunksMax: number,
): Promise<LackingPiece> {
  const { rows } = await upkeep.pool.query<LackingPiece>(
    `with piece as materialized (
       select chunk_index, time_min from chunks
       where data_id = $1::uuid and channel_id = $2::bigint and chunk_index >= $3::bigint
       order by chunk_index limit $4::integer
     ), whole as (
       select chunk_index / ${fanOut} as block from piece where time_min is not null
       group by 1 having count(*) = ${fanOut}
     )
     select array(
         select block from whole w where not exists (
           select from overviews o
           where o.data_id = $1::uuid and o.channel_id = $2::bigint and o."level" = 1 and o.block = w.block)
         order by block
       ) as blocks,
       -- The next piece begins at a block, so that a block that crosses the end of this piece is searched as a whole.
       (select case when count(*) = $4::integer
          then greatest(max(chunk_index) / ${fanOut} * ${fanOut}, min(chunk_index) / ${fanOut} * ${fanOut} + ${fanOut}) end
        from piece) as next`,
    [dataId, channelId, fromChunk, chunksMax],
  );
  return rows[0] as LackingPiece;
}

/** The missing blocks of a level (2 or higher) of which all children are stored. */
export async function findLackingParents(
  { everyOrganization: { upkeep } }: Database,
  { dataId, channelId }: ChannelAddress,
  level: number,
): Promise<number[]> {
  const { rows } = await upkeep.pool.query<{ block: number }>(
    `select block / ${fanOut} as block from overviews
     where data_id = $1::uuid and channel_id = $2::bigint and "level" = $3::smallint
     group by 1 having count(*) = ${fanOut}
     except
     select block from overviews where data_id = $1::uuid and channel_id = $2::bigint and "level" = $4::smallint
     order by 1`,
    [dataId, channelId, level - 1, level],
  );
  return rows.map(({ block }) => block);
}
