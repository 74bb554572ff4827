import type { StoredSeries } from '../database/stored-series.ts';
import type { Reading } from '../lib/reading.ts';
import type { ChunkPlan, SummaryPlan } from './chunk-plan.ts';
import type { OverviewSource } from './plan-coarsely.ts';
import type { ChunkPoints } from './points.ts';
import type { MsRange } from './time.ts';

/** A channel as the engine sees it: what is stored of it, and the statements that read it. */
export interface ChannelSource {
  chunkCount: number;
  /** All points, also those without a possible time. */
  pointCount: number;
  /** The chunks whose span of times touches a range, in order of time. */
  plan(range: MsRange): Promise<ChunkPlan>;
  /** @param chunksMax the plan stops at this many chunks and one more; by default the bound of a read */
  planWithSummaries(range: MsRange, chunksMax?: number): Promise<SummaryPlan>;
  overview: OverviewSource;
  /** The time span of the channel's points, in ms. */
  span: MsRange;
  /** The chunks that begin before a time (Unix seconds), the latest beginning first. */
  listNewest(beforeSeconds: number, chunksMax: number): Promise<TimedChunk[]>;
  /**
   * The nearest stored chunk above each of some indexes, and below each of others. Only indexes whose direct neighbour is
   * missing are in the answer.
   */
  listNeighbours(beside: Record<'above' | 'below', readonly number[]>): Promise<Record<'above' | 'below', Neighbour[]>>;
  /**
   * For each hole: the differences between successive stored indexes, at most `stepsMax` before the hole and as many after
   * it.
   */
  listStepsBeside(holes: readonly Hole[], stepsMax: number): Promise<number[][]>;
  fetch: FetchChunks;
  /** The same, not decoded. The series are valid until the next fetch from this channel. */
  fetchSeries: FetchChunks<SeriesOfChunk>;
  /** Is awaited between two steps of work, so that other reads have their turn of the event loop. */
  rest: Reading['rest'];
  /** Takes room for a chunk of which the plan did not tell how long it is. */
  enlarge: Reading['enlarge'];
}

/**
 * Fetches chunks by their indexes, which ascend. `pointCount` says about how many points they hold. Chunks that are gone
 * are left out.
 */
export type FetchChunks<Chunk extends { chunkIndex: number } = ChunkPoints> = (
  chunkIndexes: readonly number[],
  withValues: boolean,
  pointCount: number,
) => Promise<Chunk[]>;

/** The points of one chunk in their stored order and stored encoding. */
export interface SeriesOfChunk {
  chunkIndex: number;
  times: StoredSeries;
  values: StoredSeries;
}

/** A chunk with the span of its times, in Unix seconds. */
export interface TimedChunk {
  chunk_index: number;
  point_count: number;
  time_min: number;
  time_max: number;
}

/** The nearest stored chunk on one side of an index, and the times of the nearest chunk there that has times. */
export interface Neighbour {
  /** The index that was asked for. */
  chunk_index: number;
  /** Null where no chunk is stored on that side. */
  neighbour_index: number | null;
  time_min: number | null;
  time_max: number | null;
}

/** Indexes that hold no chunk, from one to another, both included. */
export interface Hole {
  fromChunk: number;
  toChunk: number;
}
