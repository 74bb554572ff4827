import { freely } from '../../../src/lib/reading.ts';
import {
  asBlockChildren,
  blockSummaryOf,
  emptySummaries,
  fittingPointsOf,
  pointsPerMsOf,
  type Summaries,
} from '../../../src/points/overview.ts';
import type { IndexRange, OverviewSource } from '../../../src/points/plan-coarsely.ts';
import { msOf } from '../../../src/points/time.ts';
import type { summaryOfChunk } from './memory-source.ts';

type ChunkSummary = ReturnType<typeof summaryOfChunk>;

/**
 * The overview of chunks in memory, with blocks of so many children.
 * @param isStored whether a block has been made; its parents are not, where it has not
 */
export function memoryOverview(
  chunks: () => ChunkSummary[],
  fanOut: number,
  isStored: (level: number, block: number) => boolean = () => true,
): OverviewSource {
  const timed = () =>
    new Map(chunks().flatMap((one) => (Number.isFinite(one.timeMin) ? [[one.chunkIndex, one] as const] : [])));

  function childrenOf(level: number, block: number, byIndex: Map<number, ChunkSummary>): Summaries | undefined {
    if (!isStored(level, block)) return undefined;
    const children = emptySummaries(fanOut);
    for (let i = 0; i < fanOut; i++) {
      const at = block * fanOut + i;
      const below = level > 1 ? childrenOf(level - 1, at, byIndex) : undefined;
      const chunk = byIndex.get(at);
      const summary = level === 1 ? chunk && ofChunk(chunk) : below && blockSummaryOf(below);
      if (summary === undefined) return undefined;
      for (const [name, value] of Object.entries(summary)) children[name as keyof Summaries][i] = value;
    }
    return children;
  }

  const isAmong = (number: number, ranges: readonly IndexRange[]) =>
    ranges.some(({ from, to }) => number >= from && number <= to);

  const source: OverviewSource = {
    fanOut,
    rest: freely.rest,
    onLacking() {},
    async listBlocks(level, blocks) {
      const byIndex = timed();
      const last = Math.max(-1, ...byIndex.keys());
      return Array.from({ length: Math.ceil((last + 1) / fanOut ** level) }, (_, block) => block)
        .filter((block) => isAmong(block, blocks))
        .flatMap((block) => {
          const children = childrenOf(level, block, byIndex);
          return children === undefined ? [] : [{ block, children }];
        });
    },
    async listChildren(level, blocks) {
      return (await source.listBlocks(level, blocks)).map(({ block, children }) => ({
        block,
        children: asBlockChildren(children),
      }));
    },
    listStatistics: () => Promise.reject(new Error('chunks in memory have no statistics')),
    async addChunks(plan, wanted, { fromMs, toMs }, chunksMax) {
      const found = [...timed().values()].filter(({ chunkIndex }) => isAmong(chunkIndex, wanted));
      for (const one of found.filter(({ timeMin, timeMax }) => msOf(timeMax) >= fromMs && msOf(timeMin) <= toMs)) {
        plan.add(one.chunkIndex, one.pointCount, one.timeMin, one.timeMax);
        plan.summarise(one.valueMin, one.valueMinTime, one.valueMax, one.valueMaxTime);
      }
      return Math.min(found.length, chunksMax + 1);
    },
  };
  return source;
}

function ofChunk({ chunkIndex: _, ...chunk }: ChunkSummary) {
  const spanMs = msOf(chunk.timeMax) - msOf(chunk.timeMin);
  return {
    ...chunk,
    timeMinMax: chunk.timeMin,
    fittingPoints: fittingPointsOf(chunk.pointCount, spanMs),
    pointsPerMs: pointsPerMsOf(chunk.pointCount, spanMs),
  };
}
