import type { OnCommitted } from './committed.ts';
import { channelKey, hasExactOffsets, type IngestItem, type PlacedRow } from './ingest-rows.ts';

/*
 * What this process knows of the channels that it writes: where they are, and up to which index it has written them. A
 * chunk beyond that is new, unless another process was faster or its stream has gone meanwhile. So this saves looking and
 * decides nothing: the transaction that relies on it fails when it is wrong.
 */
export interface KnownChannels {
  /** The rows of a request whose chunks are probably all new; undefined when one may be there, or is not known. */
  place(item: IngestItem): PlacedRow[] | undefined;
  /** These have been written. Only new ones say how far their channels go. */
  note: OnCommitted;
  /** Nothing is known of their channels any more. */
  forget(rows: readonly PlacedRow[]): void;
  /** Nothing is known any more: what stands behind the next connection may be an older state of the database. */
  forgetAll(): void;
}

interface KnownChannel {
  channelId: number;
  pointsPerChunk: number;
  newestIndex: number;
}

/** @param channelsMax so many are remembered at most, and at least the half of that which was used last */
export function createKnownChannels(channelsMax: number): KnownChannels {
  const channels = recentlyUsed<KnownChannel>(channelsMax);
  const keyOf = (item: IngestItem, channelName: string) =>
    `${item.organizationId} ${channelKey(item.dataId, channelName)}`;
  return {
    place(item) {
      if (item.isRestoring) return undefined;
      const rows: PlacedRow[] = [];
      for (const { channelName, image } of item.arrivals) {
        const known = channels.get(keyOf(item, channelName));
        if (known === undefined || item.chunkIndex <= known.newestIndex) return undefined;
        rows.push({ channelName, image, item, channelId: known.channelId, pointsPerChunk: known.pointsPerChunk });
      }
      const [first] = rows;
      return first && hasExactOffsets(item, first.pointsPerChunk) ? rows : undefined;
    },
    note(chunks) {
      for (const { item, channelName, channelId, pointsPerChunk, outcome } of chunks) {
        if (outcome !== 'created') continue;
        const key = keyOf(item, channelName);
        const known = channels.get(key);
        if (known !== undefined && known.channelId === channelId) {
          known.newestIndex = Math.max(known.newestIndex, item.chunkIndex);
        } else {
          channels.set(key, { channelId, pointsPerChunk, newestIndex: item.chunkIndex });
        }
      }
    },
    forget(rows) {
      for (const { item, channelName } of rows) channels.delete(keyOf(item, channelName));
    },
    forgetAll: channels.clear,
  };
}

/**
 * Two generations: what is used stands in the young one, and when that has half of all there may be, it becomes the old one
 * and what stood there goes. Keeping the exact order of use would write to the map for every chunk.
 */
function recentlyUsed<Value>(entriesMax: number) {
  const halfMax = Math.max(1, Math.floor(entriesMax / 2));
  let young = new Map<string, Value>();
  let old = new Map<string, Value>();

  function set(key: string, value: Value): void {
    young.set(key, value);
    old.delete(key);
    if (young.size < halfMax) return;
    old = young;
    young = new Map();
  }

  return {
    get(key: string): Value | undefined {
      const value = young.get(key);
      if (value !== undefined) return value;
      const rested = old.get(key);
      if (rested !== undefined) set(key, rested);
      return rested;
    },
    set,
    delete(key: string): void {
      young.delete(key);
      old.delete(key);
    },
    clear(): void {
      young.clear();
      old.clear();
    },
  };
}
