import type { ChannelAddress } from '../database/channel-address.ts';
import { fanOut } from '../points/overview.ts';
import type { Statistics } from '../points/range-statistics.ts';

/** The key of a block. */
export interface BlockAddress extends ChannelAddress {
  level: number;
  block: number;
}

/** The contents of a block that is to be stored. */
export interface Block {
  children: Buffer;
  statistics: Statistics;
  contentsHash: Buffer;
}

/** A block that is to be stored, with its key. */
export interface AddressedBlock extends Block {
  address: BlockAddress;
}

/** The first and the last number of the children of a block. */
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
