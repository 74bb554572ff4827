import type { PointLimits } from './limits.ts';

/** Points in order. The arrays are views that are valid until the next batch is asked for. A batch is never empty. */
export interface Points {
  /**
   * Each point's time after collapsing (`selection.ts`): ms or Unix seconds, ascending, none twice in a channel. In a stored chunk these are the seconds as they were sent, NaN where absent.
   */
  times: Float64Array;
  /** NaN where the reading is absent. Where only times were asked for, the array is empty or has no meaning. */
  values: Float64Array;
}

/** The one kind of iterator by which points leave the engine. */
export type Batches<Batch extends Points = Points> = AsyncGenerator<Batch, void, void>;

/** A planned read: its chunks have been found. Arrays are fetched when points are asked for; a few may be held already. */
export interface PointRead<Batch extends Points = Points> {
  /** The chunks that are missing among its points. Only filled where the points of one channel are down-sampled. */
  gaps: Gap[];
  /** Whether some of its points are left out. Only given where a largest number of points was asked for. */
  isDownSampled?: boolean | undefined;
  /**
   * The time of the point that was carried in from before the window; that point comes first. Undefined where there is
   * none.
   */
  carriedTime?: number | undefined;
  /**
   * All points from first to last; may be called repeatedly. Without values the read is cheaper. `limits` are its share
   * when several channels are read at once.
   */
  batches(options: { withValues: boolean; limits?: PointLimits | undefined }): Batches<Batch>;
}

/** Points that are being read. Memory is counted for them until `close`. */
export interface OpenRead<Batch extends Points = Points> extends PointRead<Batch> {
  /** May be called again. */
  close(): void;
}

/** Points of several channels, in order of time, then of channel. Points of one time are always in one batch, as a row. */
export interface ChannelsPoints extends Points {
  /** The channel of each point: its position in the list of channels that were asked for. */
  channels: Uint32Array;
}

/** The points of one chunk in their stored order. */
export interface ChunkPoints extends Points {
  chunkIndex: number;
}

/** A chunk with what else is stored about it. */
export interface StoredPoints extends ChunkPoints {
  startOffset: number;
  units: string | null;
  /** Set where this is not a chunk that was asked for, but the last point of the chunk before. */
  isCarriedIn?: true;
}

/** Chunks that are missing between others. */
export interface Gap {
  fromChunk: number;
  toChunk: number;
  /** The last ms of the chunks before the gap, and the first ms of those after it; null where there are none. */
  endMs: number | null;
  beginMs: number | null;
  /** When the missing points can have been: between these two ms, both excluded. */
  between: { lowMs: number; highMs: number };
}
