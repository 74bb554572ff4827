export interface InsertedChunks {
  /** By `sliceKey`. */
  inserted: Set<string>;
  /** Points of each channel afterwards, by channel id. */
  totals: Map<number, number>;
}

/** A chunk that is stored in a slice, with the counters of its channel. */
export interface StoredChunk {
  channelId: number;
  chunkIndex: number;
  contentHash: Buffer;
  timeMin: number | null;
  timeMax: number | null;
  units: string | null;
  pointCount: number;
  nullCount: number;
  channelPointCount: number;
  channelTimeMin: number | null;
  channelTimeMax: number | null;
}
