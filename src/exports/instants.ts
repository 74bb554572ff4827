import { notFound } from '../errors.ts';
import type { ChunkPlan } from '../timeseries/chunk-plan.ts';
import type { PointBounds, PointSource } from '../timeseries/point-reader.ts';
import { msMax } from '../timeseries/time.ts';
import { InstantBuffer, type Instants } from './instant-buffer.ts';

/*
 * Reads the points of one channel in order of their exact time, one per time, in memory that does not grow with the
 * channel. The reads of `timeseries` do the same by ms.
 *
 * Time is gone through by slices. A slice ends where the next chunk begins that is not read for it, so chunks in order of
 * time are read once; a chunk that reaches over the end of a slice is read again for the next one. Should the chunks of a
 * slice hold more points than may wait, it is cut short: slower, not larger.
 */

/** Chunks of one statement: it lists them by index. */
const pageChunksMax = 5_000;
/** Before it is every possible time. */
const endMs = msMax + 1;

/** The points that have a possible time; each batch is valid until the next one is asked for. */
export async function* readInstants(
  { plan, fetch }: PointSource,
  { pagePointsMax, bufferPointsMax }: PointBounds,
): AsyncGenerator<Instants, void, void> {
  const buffer = new InstantBuffer();
  let fromMs = plan.firstMs[0] ?? endMs;
  /** Positions in the plan of chunks that the last slice has begun and not finished. */
  let open: number[] = [];
  let next = 0;
  while (fromMs < endMs) {
    const slice = nextSlice(plan, open, next, fromMs, pagePointsMax);
    let { toMs } = slice;
    for (const page of pagesOfPositions(plan, slice.positions, pagePointsMax)) {
      const indexes = page.map((position) => plan.chunkIndexes[position] as number).sort((a, b) => a - b);
      const chunks = await fetch(indexes, true);
      // Chunks go with their stream only.
      if (chunks.length !== page.length) throw notFound('data_id');
      for (const chunk of chunks) buffer.add(chunk, fromMs, toMs);
      if (buffer.length > bufferPointsMax) toMs = buffer.cutTo(Math.ceil(bufferPointsMax / 2), toMs);
    }
    const instants = buffer.take();
    if (instants.times.length > 0) yield instants;
    open = slice.positions.filter((position) => (plan.lastMs[position] as number) >= toMs);
    next = slice.next;
    fromMs = toMs;
  }
}

/**
 * The chunks to read for the slice that begins at `fromMs`, and where it ends: before the first chunk that is not among
 * them. It has at least the chunks that begin no later than it does, however many they are.
 */
function nextSlice(plan: ChunkPlan, open: number[], from: number, fromMs: number, pagePointsMax: number) {
  const positions = [...open];
  // Of those that are open it does not matter how many: they are read for every slice that they reach into.
  let points = 0;
  let next = from;
  for (; next < plan.length; next++) {
    points += plan.pointCounts[next] as number;
    const firstMs = plan.firstMs[next] as number;
    if (firstMs > fromMs && points > pagePointsMax && positions.length > 0) return { positions, next, toMs: firstMs };
    positions.push(next);
  }
  return { positions, next, toMs: endMs };
}

function* pagesOfPositions(plan: ChunkPlan, positions: number[], pagePointsMax: number): Generator<number[]> {
  let page: number[] = [];
  let points = 0;
  for (const position of positions) {
    points += plan.pointCounts[position] as number;
    if (page.length > 0 && (points > pagePointsMax || page.length === pageChunksMax)) {
      yield page;
      page = [];
      points = plan.pointCounts[position] as number;
    }
    page.push(position);
  }
  if (page.length > 0) yield page;
}
