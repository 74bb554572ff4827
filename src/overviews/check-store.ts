import type { Database } from '../database/database.ts';
import { type Block, type BlockAddress, blockColumns, type StoredBlockRow, toBlock } from './block.ts';

/* Statements on the overviews of all organizations, for commands of the operator only: no route calls them. */

/** Sorts before all keys. */
export const firstAddress: BlockAddress = {
  dataId: '00000000-0000-0000-0000-000000000000',
  channelId: -1,
  level: 0,
  block: -1,
};

/** The key of a stored block. */
export interface ListedBlock extends BlockAddress {
  /** Null where the channel is gone. */
  channelName: string | null;
}

/** The keys of the next blocks. Within a channel, lower levels come first. */
export async function listBlocks(database: Database, after: BlockAddress, limit: number): Promise<ListedBlock[]> {
  const { rows } = await database.everyOrganization.upkeep.pool.query<ListedBlock>(
    `select o.data_id as "dataId", o.channel_id as "channelId", o."level", o.block, c.channel_name as "channelName"
     from overviews o left join channels c on c.data_id = o.data_id and c.channel_id = o.channel_id
     where (o.data_id, o.channel_id, o."level", o.block) > ($1::uuid, $2::bigint, $3::smallint, $4::bigint)
     order by o.data_id, o.channel_id, o."level", o.block limit $5::integer`,
    [after.dataId, after.channelId, after.level, after.block, limit],
  );
  return rows;
}

/** A stored block, and a version that changes with its row. */
export interface VersionedBlock extends Block {
  version: string;
}

/** @returns undefined where the block does not exist, or its stream is being removed */
export async function readBlock(
  { everyOrganization: { upkeep } }: Database,
  { dataId, channelId, level, block }: BlockAddress,
): Promise<VersionedBlock | undefined> {
  const { rows } = await upkeep.pool.query<StoredBlockRow & { version: string }>(
    `select o.xmin::text || ' ' || o.ctid::text as version, ${blockColumns} ${thatBlock}`,
    [dataId, channelId, level, block],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const { version, ...stored } = row;
  return { version, ...toBlock(stored) };
}

/** The version of a block, without its contents. */
export async function readBlockVersion(
  { everyOrganization: { upkeep } }: Database,
  { dataId, channelId, level, block }: BlockAddress,
): Promise<string | undefined> {
  const { rows } = await upkeep.pool.query<{ version: string }>(
    `select o.xmin::text || ' ' || o.ctid::text as version ${thatBlock}`,
    [dataId, channelId, level, block],
  );
  return rows[0]?.version;
}

const thatBlock = `from overviews o left join streams s on s.data_id = o.data_id
  where o.data_id = $1::uuid and o.channel_id = $2::bigint and o."level" = $3::smallint and o.block = $4::bigint
    and s.removed_at is null`;

/** Removes a block. Reads work without it. */
export async function removeBlock(
  { everyOrganization: { upkeep } }: Database,
  { dataId, channelId, level, block }: BlockAddress,
): Promise<void> {
  await upkeep.pool.query(
    `delete from overviews
     where data_id = $1::uuid and channel_id = $2::bigint and "level" = $3::smallint and block = $4::bigint`,
    [dataId, channelId, level, block],
  );
}

/** The next channels that are long enough to have a block, except those of streams that are being removed. */
export async function listLongChannels(
  { everyOrganization: { upkeep } }: Database,
  after: Pick<BlockAddress, 'dataId' | 'channelId'>,
  chunksMin: number,
  limit: number,
): Promise<{ dataId: string; channelId: number }[]> {
  const { rows } = await upkeep.pool.query<{ dataId: string; channelId: number }>(
    `select data_id as "dataId", channel_id as "channelId" from channels c
     where (data_id, channel_id) > ($1::uuid, $2::bigint) and chunk_count >= $3::bigint
       and exists (select from streams s where s.data_id = c.data_id and s.removed_at is null)
     order by data_id, channel_id limit $4::integer`,
    [after.dataId, after.channelId, chunksMin, limit],
  );
  return rows;
}
