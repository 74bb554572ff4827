import type { StoredSeries } from '../database/stored-series.ts';
import type { Reading } from '../lib/reading.ts';
import type { ChunkPlan, SummaryPlan } from './chunk-plan.ts';
import type { OverviewSource } from './plan-coarsely.ts';
import type { ChunkPoints } from './points.ts';
import type { MsRange } from './time.ts';

/** A channel as the engine sees it: what is stored of it, and the statements that read it. */
export interface ChannelSource {
  chunkCount: number;
  /** All points, the ones without a possible time too. */
  pointCount: number;
  /** The chunks whose span of times touches a range, in order of time. */
  plan(range: MsRange): Promise<ChunkPlan>;
  /** @param chunksMax breaks off with one more; by default the bound of a read */
  planWithSummaries(range: MsRange, chunksMax?: number): Promise<SummaryPlan>;
  overview: OverviewSource;
  /** The times of the channel, in ms. */
  span: MsRange;
  /** The chunks that begin before a time in Unix seconds, those that begin last first. */
  listNewest(beforeSeconds: number, chunksMax: number): Promise<TimedChunk[]>;
  /** What is stored above some indexes and below others, each of which is missing its direct neighbour there. */
  listNeighbours(beside: Record<'above' | 'below', readonly number[]>): Promise<Record<'above' | 'below', Neighbour[]>>;
  /** For each hole the steps from one stored index to the next, at most so many before it and as many after it. */
  listStepsBeside(holes: readonly Hole[], stepsMax: number): Promise<number[][]>;
  fetch: FetchChunks;
  /** The same, not decoded. They are valid until the next chunks of the channel are fetched. */
  fetchSeries: FetchChunks<SeriesOfChunk>;
  /** Is awaited between two steps of work. */
  rest: Reading['rest'];
  /** Takes room for a chunk of which the plan did not tell how long it is. */
  enlarge: Reading['enlarge'];
}

/** Fetches chunks by their indexes, which ascend, of about so many points. Chunks that are gone are missing. */
export type FetchChunks<Chunk extends { chunkIndex: number } = ChunkPoints> = (
  chunkIndexes: readonly number[],
  withValues: boolean,
  pointCount: number,
) => Promise<Chunk[]>;

/** The points of one chunk in their stored order, as they are stored. */
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

/** The nearest chunk that is stored on one side of an index, and the times of the nearest there that has any. */
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
