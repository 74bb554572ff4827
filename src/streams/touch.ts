import { limits } from '../config.ts';
import { type ChunkAddresses, touchChunks } from './chunk-store.ts';
import type { Means } from './means.ts';
import type { PlacedRow } from './rows.ts';

/**
 * Touches rows that have been written (touchChunks), those of several flushes with one statement. Nobody waits for it, and
 * should it fail, the next reader of these rows does the same.
 */
export function createTouch(means: Pick<Means, 'pool' | 'patience'>): (rows: readonly PlacedRow[]) => void {
  let waiting: ChunkAddresses | undefined;

  function send(): void {
    const addresses = waiting as ChunkAddresses;
    waiting = undefined;
    touchChunks(means, addresses).catch(() => {});
  }

  return (rows) => {
    if (waiting === undefined) {
      waiting = { dataIds: [], channelIds: [], chunkIndexes: [] };
      setTimeout(send, limits.touchDelayMs).unref();
    }
    for (const { item, channelId } of rows) {
      waiting.dataIds.push(item.dataId);
      waiting.channelIds.push(channelId);
      waiting.chunkIndexes.push(item.chunkIndex);
    }
  };
}
