import type { OnCommitted } from './committed.ts';
import { channelKey, hasExactOffsets, type IngestItem, type KnownRow } from './ingest-rows.ts';

/*
 * A cache of the channels that this process writes: their ids, and the highest index that it has written in each. A
 * chunk beyond that index is new, unless another process was faster or the stream is gone. So the cache saves a read
 * but decides nothing: a transaction that relies on a wrong entry fails.
 */
export interface KnownChannels {
  /**
   * The rows of a request whose chunks are probably all new; undefined when a chunk may be stored or a channel is not
   * in the cache.
   */
  rowsIfNew(item: IngestItem): KnownRow[] | undefined;
  /** Notes chunks that were written. Only created ones raise the highest index. */
  note: OnCommitted;
  /** Drops the channels of these rows. */
  forget(rows: readonly KnownRow[]): void;
  /** Drops everything: the next connection may lead to an older state of the database. */
  forgetAll(): void;
}

interface KnownChannel {
  channelId: number;
  pointsPerChunk: number;
  newestIndex: number;
}

/** @param channelsMax the most channels that the cache holds; it keeps at least the half of them that was used last */
export function createKnownChannels(channelsMax: number): KnownChannels {
  const channels = recentlyUsed<KnownChannel>(channelsMax);
  const keyOf = (item: IngestItem, channelName: string) =>
    `${item.organizationId} ${channelKey(item.dataId, channelName)}`;
  return {
    rowsIfNew(item) {
      if (item.isRestoring) return undefined;
      const rows: KnownRow[] = [];
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
 * A cache in two generations. An entry that is used moves to the young one. When the young one holds half of
 * `entriesMax`, it becomes the old one, and the previous old one is dropped. To keep the exact order of use would take
 * a write to the map for every chunk.
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
      const older = old.get(key);
      if (older !== undefined) set(key, older);
      return older;
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
