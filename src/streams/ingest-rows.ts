import { contract } from '../contract.ts';
import type { Origin } from '../database/audit.ts';
import type { ChunkImage } from './chunk-image.ts';
import type { BatchItem } from './queue.ts';

/*
 * The words of ingest: a chunk is what is stored. A request brings one or several chunks (its arrivals) of one index. An item
 * is such a request in the batcher; an entry is an item with its promise, in the queue. A slice is the address of a chunk
 * with a digest of its content. A row is a chunk on its way into a statement. Limits count rows.
 */

/** A chunk of one channel that a request brings. */
export interface Arrival {
  channelName: string;
  image: ChunkImage;
}

/** What one request writes, and for whom: the chunks of some channels of a stream under one index. */
export interface IngestItem extends BatchItem {
  keyId: number;
  dataId: string;
  chunkIndex: number;
  arrivals: Arrival[];
  /** It restores a previous content of a chunk. A finalized stream takes that at any time. */
  isRestoring: boolean;
  /** Where its request came from, for the audit log, if it replaces something. */
  originOf?: (() => Origin) | undefined;
}

/** What is stored at the address of a row, as a plain read saw it. */
export interface AddressState {
  /** Null where the organization has no such stream. */
  pointsPerChunk: number | null;
  /** Finalized, and the grace for late chunks is over. */
  closed: boolean;
  /** Null where the channel is new. */
  channelId: number | null;
  channelPointCount: number | null;
  /** Whether the stored chunk has the same content; null where none is stored. */
  isSame: boolean | null;
}

/** An arrival with its request. */
export interface Row extends Arrival {
  item: IngestItem;
}

/** A row that has been looked up. */
export interface FoundRow extends Row {
  state: AddressState;
}

/** A row whose stream and channel are known. */
export interface KnownRow extends Row {
  channelId: number;
  pointsPerChunk: number;
}

/** A key for the slice that a row writes, unique among all streams. */
export const sliceKey = (channelId: number, chunkIndex: number) => `${channelId} ${chunkIndex}`;

export const sliceOf = (row: KnownRow) => sliceKey(row.channelId, row.item.chunkIndex);

/** A key for a channel, unique among all streams, also before the channel has an id. */
export const channelKey = (dataId: string, channelName: string) => `${dataId} ${channelName}`;

/** Whether every point of a request has an offset that is an exact integer. */
export function hasExactOffsets({ chunkIndex, arrivals }: IngestItem, pointsPerChunk: number): boolean {
  const longest = arrivals.reduce((most, { image }) => Math.max(most, image.pointCount), 0);
  return chunkIndex * pointsPerChunk + longest <= contract.offsetMax;
}
