import { notFound } from '../errors.ts';
import type { FetchChunks } from './channel-source.ts';
import type { ChunkPlan } from './chunk-plan.ts';
import type { PointLimits } from './limits.ts';

/*
 * Only these functions fetch arrays of chunks, in pages of a bounded number of points. The `fetch` of a source does the
 * work: it ends a read whose client has gone, and gives other reads their turn.
 */

/** Chunks of a plan that are fetched together, by their positions in it, and the position where the next page begins. */
export interface Page {
  positions: number[];
  next: number;
}

/** Chunks of a plan, wanted or not, that one page goes over at most: a millisecond of work. */
const passedChunksMax = 20_000;

/** The next page of wanted chunks from a position on. A chunk that is longer than a page is a page of its own. */
export function nextPage(
  { length, pointCounts }: ChunkPlan,
  from: number,
  { pagePointsMax, pageChunksMax }: PointLimits,
  isWanted: (position: number) => boolean,
): Page {
  const positions: number[] = [];
  let points = 0;
  let next = from;
  const end = Math.min(length, from + passedChunksMax);
  for (; next < end && positions.length < pageChunksMax; next++) {
    if (!isWanted(next)) continue;
    points += pointCounts[next] as number;
    if (points > pagePointsMax && positions.length > 0) break;
    positions.push(next);
  }
  return { positions, next };
}

/** The points of all chunks of a page. */
export const pointsOf = ({ pointCounts }: Pick<ChunkPlan, 'pointCounts'>, { positions }: Pick<Page, 'positions'>) =>
  positions.reduce((sum, position) => sum + (pointCounts[position] as number), 0);

/**
 * Fetches the chunks of a page, in the order of the plan.
 * @throws ApiError 404 when one is gone: chunks are only removed together with their stream
 */
export async function fetchPage<Chunk extends { chunkIndex: number }>(
  fetch: FetchChunks<Chunk>,
  { chunkIndexes, pointCounts }: ChunkPlan,
  { positions }: Page,
  withValues: boolean,
): Promise<Chunk[]> {
  if (positions.length === 0) return [];
  const indexes = positions.map((position) => chunkIndexes[position] as number);
  const chunks = await fetch(
    indexes.toSorted((a, b) => a - b),
    withValues,
    pointsOf({ pointCounts }, { positions }),
  );
  const byIndex = new Map(chunks.map((chunk) => [chunk.chunkIndex, chunk]));
  return indexes.map((chunkIndex) => {
    const chunk = byIndex.get(chunkIndex);
    if (chunk === undefined) throw notFound('data_id');
    return chunk;
  });
}
