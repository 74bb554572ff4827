import { openChannels, type ReadDependencies } from '../points/read.ts';
import { byInstant } from '../points/selection.ts';
import type { Export, ExportedStream } from './export.ts';
import { gridRows } from './grid.ts';

/**
 * Counts the rows of an export before it is made. Counting may stop once `enough` is reached. Times are read only where
 * counters are not enough: they do not show how many points of different channels share a row.
 * @param enough a count from which on the exact number does not matter
 */
export async function countExportedRows(deps: ReadDependencies, exported: Export, enough: number): Promise<number> {
  const { streams, layout, grid, window } = exported;
  let rows = 0;
  for (const stream of streams) {
    if (rows >= enough) break;
    if (grid) {
      const of = gridRows(grid, stream.channels, window);
      rows += of === undefined ? 0 : of.last - of.first + 1;
    } else if (layout === 'long') rows += pointsOf(stream);
    else rows += pointsOf(stream) < enough - rows ? pointsOf(stream) : await countWide(deps, exported, stream, enough);
  }
  return rows;
}

const pointsOf = ({ channels }: ExportedStream) => channels.reduce((sum, { point_count }) => sum + point_count, 0);

async function countWide(
  deps: ReadDependencies,
  { window }: Export,
  { channels }: ExportedStream,
  enough: number,
): Promise<number> {
  const read = await openChannels(deps, channels, { selection: window, zeroMs: 0, collapse: byInstant });
  let rows = 0;
  try {
    let last = Number.NaN;
    for await (const { times } of read.batches({ withValues: false })) {
      for (const time of times) {
        if (time !== last) rows++;
        last = time;
      }
      if (rows >= enough) break;
      await deps.reading.rest();
    }
  } finally {
    read.close();
  }
  return rows;
}
