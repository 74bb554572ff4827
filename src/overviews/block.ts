import type { ChannelAddress } from '../database/channel-address.ts';
import { fanOut } from '../points/overview.ts';
import type { Statistics } from '../points/range-statistics.ts';

/** The key of a block. */
export interface BlockAddress extends ChannelAddress {
  level: number;
  block: number;
}

/** The contents of a block: the encoded summaries of its children, its statistics, and the hash of the hashes of its children. */
export interface Block {
  children: Buffer;
  statistics: Statistics;
  contentsHash: Buffer;
}

/** A block with its key. */
export interface AddressedBlock extends Block {
  address: BlockAddress;
}

/** The numbers of the first and the last child of a block, on the level below. */
export const childrenOf = (block: number) => ({ first: block * fanOut, last: block * fanOut + fanOut - 1 });

/** The columns that `toBlock` takes, in SQL. */
export const blockColumns = `children, contents_hash as "contentsHash", value_count as "valueCount",
  absent_count as "absentCount", value_sum as sum, value_sum_rest as "sumRest", value_squares as squares`;

export type StoredBlockRow = Statistics & { children: Buffer; contentsHash: Buffer };

export const toBlock = ({ children, contentsHash, ...statistics }: StoredBlockRow): Block => ({
  children,
  contentsHash,
  statistics,
});
