import type { StoredPoints } from '../points/points.ts';
import { openStored, type ReadDependencies } from '../points/read.ts';
import type { Export } from './export.ts';

/** A stored chunk with its stream and channel: a run of rows of the long layout. */
export interface LongChunk {
  dataId: string;
  channelName: string;
  chunk: StoredPoints;
}

/**
 * Every chunk of an export: by stream, channel and index. Chunks that arrive in a channel after it has been written are not
 * part of it. A chunk that is replaced meanwhile is shown as it is when its page is fetched. A chunk that is gone is an
 * error.
 */
export async function* readLong(deps: ReadDependencies, { streams }: Export): AsyncGenerator<LongChunk, void, void> {
  for (const { data_id: dataId, channels } of streams) {
    for (const channel of channels) {
      const chunks = await openStored(deps, channel);
      for await (const chunk of chunks) yield { dataId, channelName: channel.channel_name, chunk };
    }
  }
}
