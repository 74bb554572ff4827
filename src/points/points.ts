import type { PointLimits } from './limits.ts';

/** Points in one order. The arrays are views that are valid until the next batch is asked for, and none is empty. */
export interface Points {
  /**
   * When each point is: what the collapse of the read makes of its seconds, that is ms or Unix seconds, ascending, none
   * twice in a channel. In a stored chunk the seconds as they were sent, NaN where they are absent.
   */
  times: Float64Array;
  /** NaN where the reading is absent; of no meaning, or none at all, where only times were asked for. */
  values: Float64Array;
}

/** The one iterator by which points leave the engine. */
export type Batches<Batch extends Points = Points> = AsyncGenerator<Batch, void, void>;

/** Points that are to be read: they have been looked for, and none has been fetched. */
export interface PointRead<Batch extends Points = Points> {
  /** The chunks that are missing among them; told where points of one channel are down-sampled. */
  gaps: Gap[];
  /** Whether some of its points are left out; told where there are to be so many at most. */
  isDownSampled?: boolean | undefined;
  /** When the point is that was carried in from before the window; it comes first. Undefined where there is none. */
  carriedTime?: number | undefined;
  /**
   * From the first to the last point, as often as it is asked for. Without values they are cheaper. With limits they are
   * read within those, as one of several that are read at once.
   */
  batches(options: { withValues: boolean; limits?: PointLimits | undefined }): Batches<Batch>;
}

/** Points that are being read, and memory that is counted for them until it is closed. */
export interface OpenRead<Batch extends Points = Points> extends PointRead<Batch> {
  /** May be called again. */
  close(): void;
}

/** Points of several channels, in order of time and then of channel. Those of one time are in one batch: a row. */
export interface ChannelsPoints extends Points {
  /** Whose each point is: a position in the list of channels that were asked for. */
  channels: Uint32Array;
}

/** The points of one chunk in their stored order. */
export interface ChunkPoints extends Points {
  chunkIndex: number;
}

/** The same, with what else is stored of the chunk. */
export interface StoredPoints extends ChunkPoints {
  startOffset: number;
  units: string | null;
  /** The last point only, of the chunk before those that are wanted. */
  isCarriedIn?: true;
}

/** Chunks that are missing between others. */
export interface Gap {
  fromChunk: number;
  toChunk: number;
  /** The last ms of the chunks before and the first of those after it; null where there are none. */
  endMs: number | null;
  beginMs: number | null;
  /** When their points can have been: between these two ms, both not included. */
  between: { lowMs: number; highMs: number };
}
