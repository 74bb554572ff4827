import type { Database } from '../database/database.ts';
import { notFound } from '../errors.ts';
import { pagesOf } from '../timeseries/chunk-plan.ts';
import { planByIndex } from '../timeseries/plan-store.ts';
import { readStoredChunks, type StoredChunk } from '../timeseries/store.ts';
import { boundsFor } from '../timeseries/stream-read.ts';
import type { Export } from './export.ts';

/** A stored chunk and whose it is: the rows of the long layout between one chunk and the next. */
export interface LongChunk {
  dataId: string;
  channelName: string;
  chunk: StoredChunk;
}

const allChunks = { from: 0, to: Number.MAX_SAFE_INTEGER };
const { pagePointsMax } = boundsFor(1);

/**
 * Every chunk of an export: by stream, channel and index. What arrives in a channel after its turn has come is not part of
 * it; a chunk that is replaced meanwhile is shown as it is when its page is fetched; one that is gone is an error.
 */
export async function* readLong(
  database: Database,
  organizationId: string,
  { streams }: Export,
): AsyncGenerator<LongChunk, void, void> {
  for (const { data_id: dataId, channels } of streams) {
    for (const { channel_id: channelId, channel_name: channelName } of channels) {
      const address = { dataId, channelId };
      const plan = await planByIndex(database, organizationId, address, allChunks);
      for (const page of pagesOf(plan, pagePointsMax)) {
        const chunks = await readStoredChunks(database, organizationId, address, page);
        // Chunks go with their stream only.
        if (chunks.length !== page.length) throw notFound('data_id');
        for (const chunk of chunks) yield { dataId, channelName, chunk };
      }
    }
  }
}
