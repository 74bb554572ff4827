import { channelKey, hasExactOffsets, type IngestItem, type PlacedRow } from './rows.ts';

/*
 * What this process knows of the channels that it writes: where they are, and up to which index it has written them. A
 * chunk beyond that is new, unless another process was faster or its stream has gone meanwhile. So this saves looking and
 * decides nothing: the transaction that relies on it fails when it is wrong.
 */
export interface KnownChannels {
  /** The rows of a request whose chunks are probably all new; undefined when one may be there, or is not known. */
  place(item: IngestItem): PlacedRow[] | undefined;
  /** These have been written and were new. */
  note(rows: readonly PlacedRow[]): void;
  /** Nothing is known of their channels any more. */
  forget(rows: readonly PlacedRow[]): void;
}

interface KnownChannel {
  channelId: number;
  pointsPerChunk: number;
  newestIndex: number;
}

/** @param channelsMax when there are more, those that have been known longest are forgotten */
export function createKnownChannels(channelsMax: number): KnownChannels {
  const channels = new Map<string, KnownChannel>();
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
    note(rows) {
      for (const { item, channelName, channelId, pointsPerChunk } of rows) {
        const key = keyOf(item, channelName);
        const known = channels.get(key);
        if (known !== undefined && known.channelId === channelId) {
          known.newestIndex = Math.max(known.newestIndex, item.chunkIndex);
          continue;
        }
        channels.set(key, { channelId, pointsPerChunk, newestIndex: item.chunkIndex });
        if (channels.size > channelsMax) channels.delete(channels.keys().next().value as string);
      }
    },
    forget(rows) {
      for (const { item, channelName } of rows) channels.delete(keyOf(item, channelName));
    },
  };
}
