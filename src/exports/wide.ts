import { openChannels, type ReadDependencies } from '../points/read.ts';
import { byInstant } from '../points/selection.ts';
import type { Export } from './export.ts';
import { RowGroup, type WideRows } from './row-group.ts';

/**
 * One row for each exact time at which a channel has a point, stream after stream. Times are not rounded. If a channel has
 * several points at one time, the last one is shown, by chunk index, then position. Points without a possible time have no
 * row. Chunks that arrive after their stream's turn began are not part of the export.
 * @param rowsMax rows that are given out together
 */
export async function* readWide(
  deps: ReadDependencies,
  exported: Export,
  rowsMax: number,
): AsyncGenerator<WideRows, void, void> {
  const wanted = { selection: exported.window, zeroMs: 0, collapse: byInstant };
  for (const stream of exported.streams) {
    const read = await openChannels(deps, stream.channels, wanted);
    const group = new RowGroup(exported, stream, rowsMax);
    try {
      for await (const { times, values, channels } of read.batches({ withValues: true })) {
        for (let i = 0; i < times.length; i++) {
          const isNewRow = i === 0 || times[i] !== times[i - 1];
          if (isNewRow && group.isFull) yield group.take();
          if (isNewRow) group.begin(times[i] as number);
          group.set(channels[i] as number, values[i] as number);
        }
      }
      if (!group.isEmpty) yield group.take();
    } finally {
      read.close();
    }
  }
}
