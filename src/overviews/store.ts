import type pg from 'pg';
import { bigintArray, uuidArray } from '../database/binary-array.ts';
import type { ChannelAddress } from '../database/channel-address.ts';
import { copyRows, integerLiteral as integer, uuidLiteral as uuid } from '../database/copy-out.ts';
import type { Database } from '../database/database.ts';
import { decodeSeries, readSeries, seriesFields, timesColumns, valuesColumns } from '../database/stored-series.ts';
import { inOneTrip, type Patience } from '../database/transactions.ts';
import type { CopyRow } from '../lib/copy-binary.ts';
import { fanOut } from '../points/overview.ts';
import { type Block, type BlockAddress, blockColumns, childrenOf, type StoredBlockRow, toBlock } from './block.ts';
import type { GatheredBlock } from './gatherer.ts';

/** A chunk with its arrays; numbers that are not there are NaN. */
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

/** Visits the chunks of a block of level 1, in order, while they arrive. */
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

/** The blocks below a block, in order. */
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
 * Stores a block, if what it was made of still stands: its channel is locked against whoever replaces a chunk.
 * @returns whether it has been stored; not where another server has done so
 */
export async function storeBlock(
  { everyOrganization: { ingest } }: Database,
  address: BlockAddress,
  { children, statistics, contentsHash }: Block,
  patience: Patience,
): Promise<boolean> {
  const { dataId, channelId, level, block } = address;
  const { first, last } = childrenOf(block);
  const [hash, table, number, below] =
    level === 1
      ? ['content_hash', 'chunks', 'chunk_index', '$4::smallint = 0']
      : ['contents_hash', 'overviews', 'block', '"level" = $4::smallint'];
  const lock = {
    name: 'lock_channel_of_overview',
    text: 'select from channels where channel_id = $1::bigint and data_id = $2::uuid limit 1 for share',
    values: [channelId, dataId],
  };
  const insert = {
    name: `store_overview_${table}`,
    text: `insert into overviews (organization_id, data_id, channel_id, "level", block, children, contents_hash,
             value_count, absent_count, value_sum, value_sum_rest, value_squares)
           select organization_id, data_id, channel_id, $3::smallint, $5::bigint, $8::bytea, $9::bytea,
             $10::bigint, $11::bigint, $12::float8, $13::float8, $14::float8
           from channels where channel_id = $2::bigint and data_id = $1::uuid and (
             select sha256(string_agg(${hash}, ''::bytea order by ${number})) from (
               select ${hash}, ${number} from ${table}
               where data_id = $1::uuid and channel_id = $2::bigint and ${below}
                 and ${number} between $6::bigint and $7::bigint
               offset 0
             ) children
           ) = $9::bytea
           on conflict do nothing`,
    values: [
      ...[dataId, channelId, level, level - 1, block, first, last, children, contentsHash],
      ...[statistics.valueCount, statistics.absentCount, statistics.sum, statistics.sumRest, statistics.squares],
    ],
  };
  const [, , { rowCount }] = await inOneTrip<[unknown, unknown, pg.QueryResult]>(
    ingest,
    (client) => [client.query(withoutDisk), client.query(lock), client.query(insert)],
    patience,
  );
  return rowCount === 1;
}

/**
 * Stores blocks of level 1 that were gathered, those whose chunks still are what they were; all in one transaction. Channels are
 * locked in the order in which everybody locks them.
 */
export async function storeGathered(
  { everyOrganization: { ingest } }: Database,
  gathered: readonly GatheredBlock[],
  patience: Patience,
): Promise<void> {
  const blocks = gathered.toSorted((one, other) => one.address.channelId - other.address.channelId);
  const addresses = blocks.map(({ address }) => address);
  const channelIds = bigintArray(addresses.map(({ channelId }) => channelId));
  const dataIds = uuidArray(addresses.map(({ dataId }) => dataId));
  const lock = {
    name: 'lock_channels_of_overviews',
    text: `select from unnest($1::bigint[]) as r (channel_id)
           cross join lateral (select from channels where channel_id = r.channel_id limit 1 for share) c`,
    values: [channelIds],
  };
  const insert = {
    name: 'store_gathered_overviews',
    text: `insert into overviews (organization_id, data_id, channel_id, "level", block, children, contents_hash,
             value_count, absent_count, value_sum, value_sum_rest, value_squares)
           select c.organization_id, r.data_id, r.channel_id, 1, r.block, r.children, r.contents_hash, r.value_count, r.absent_count,
             r.value_sum, r.value_sum_rest, r.value_squares
           from unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bigint[], $7::bigint[],
               $8::float8[], $9::float8[], $10::float8[])
             as r (channel_id, data_id, block, children, contents_hash, value_count, absent_count, value_sum, value_sum_rest,
               value_squares)
           cross join lateral (
             select organization_id from channels where channel_id = r.channel_id and data_id = r.data_id limit 1
           ) c
           where (
             select sha256(string_agg(content_hash, ''::bytea order by chunk_index)) from (
               select content_hash, chunk_index from chunks
               where data_id = r.data_id and channel_id = r.channel_id
                 and chunk_index between r.block * ${fanOut} and r.block * ${fanOut} + ${fanOut - 1}
               offset 0
             ) children
           ) = r.contents_hash
           on conflict do nothing`,
    values: [
      ...[channelIds, dataIds, bigintArray(addresses.map(({ block }) => block))],
      ...[blocks.map(({ children }) => children), blocks.map(({ contentsHash }) => contentsHash)],
      ...[blocks.map((one) => one.statistics.valueCount), blocks.map((one) => one.statistics.absentCount)],
      ...[blocks.map((one) => one.statistics.sum), blocks.map((one) => one.statistics.sumRest)],
      blocks.map((one) => one.statistics.squares),
    ],
  };
  await inOneTrip<[unknown, unknown, unknown]>(
    ingest,
    (client) => [client.query(withoutDisk), client.query(lock), client.query(insert)],
    patience,
  );
}

/** Should it be lost, it is made again; nobody waits for the disk. */
const withoutDisk = 'set local synchronous_commit = off';

/** What a piece of a channel lacks. */
export interface LackingPiece {
  /** Blocks of level 1 that could be made. */
  blocks: number[];
  /** Where to go on; null at the end of the channel. */
  next: number | null;
}

/** Looks through the next chunks of a channel for blocks that all chunks are there for, and that are not. */
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
       -- A block that the end of the piece divides is looked at whole the next time.
       (select case when count(*) = $4::integer
          then greatest(max(chunk_index) / ${fanOut} * ${fanOut}, min(chunk_index) / ${fanOut} * ${fanOut} + ${fanOut}) end
        from piece) as next`,
    [dataId, channelId, fromChunk, chunksMax],
  );
  return rows[0] as LackingPiece;
}

/** The blocks of a level that all children are there for, and that are not. */
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
