import { type ChunkAddresses, touchChunks } from './chunk-store.ts';
import type { OnCommitted } from './committed.ts';
import type { Means } from './means.ts';

/** How often rows are touched: so long after the first of them was committed. */
type TouchOptions = Pick<Means, 'pool' | 'patience'> & { delayMs: number };

/**
 * Touches rows that have been written (touchChunks), those of several flushes with one statement. Nobody waits for it, and
 * should it fail, the next reader of these rows does the same.
 */
export function createTouch({ delayMs, ...means }: TouchOptions): OnCommitted {
  let waiting: ChunkAddresses | undefined;

  function send(): void {
    const addresses = waiting as ChunkAddresses;
    waiting = undefined;
    touchChunks(means, addresses).catch(() => {});
  }

  return (chunks) => {
    if (waiting === undefined) {
      waiting = { dataIds: [], channelIds: [], chunkIndexes: [] };
      setTimeout(send, delayMs).unref();
    }
    for (const { item, channelId } of chunks) {
      waiting.dataIds.push(item.dataId);
      waiting.channelIds.push(channelId);
      waiting.chunkIndexes.push(item.chunkIndex);
    }
  };
}
