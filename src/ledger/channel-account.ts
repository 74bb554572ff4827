import { createHash } from 'node:crypto';
import { GrowingFloats } from '../lib/growing-floats.ts';
import { MarkedChunks } from './marked-chunks.ts';

/** What an account needs to know of a stored chunk. */
export interface ChunkFacts {
  chunkIndex: number;
  pointCount: number;
  nullCount: number;
  /** Unix seconds; null when no point has a possible time. */
  timeMin: number | null;
  timeMax: number | null;
  ascending: boolean;
  units: string | null;
  /** First stored and last changed, in µs since 2000, as PostgreSQL counts. */
  storedMicros: number;
  changedMicros: number;
  replacedCount: number;
  /** Stored or replaced after the stream was finalized. */
  isLate: boolean;
  contentHash: Buffer;
}

/** Ways of a chunk to be irregular, as bits. */
export const irregularities = { long: 1, short: 2, not_ascending: 4, overlapping: 8 } as const;

/**
 * What the chunks of one channel add up to, given in order of their index. Lists are arrays of numbers, so that a million
 * entries stay small.
 */
export class ChannelAccount {
  chunkCount = 0;
  pointCount = 0;
  nullCount = 0;
  replacedCount = 0;
  highestChunkIndex = -1;
  /** First and last index of each run of missing chunks below the highest one. */
  readonly missing = new GrowingFloats();
  missingCount = 0;
  /** Index, points and a sum of `irregularities`, for each chunk that is not as it should be. */
  readonly irregular = new GrowingFloats();
  irregularCount = 0;
  /** Chunks that hold another content than they did first. */
  readonly replaced = new MarkedChunks();
  /** Chunks that were stored or replaced after the stream was finalized. */
  readonly late = new MarkedChunks();
  /** Unix seconds. */
  timeMin: number | null = null;
  timeMax: number | null = null;
  /** Every timestamp is a possible time, and none steps back, over all chunks in order of their index. */
  ascending = true;
  /** The unit of the highest chunk that has one; and how often a chunk has another than the chunks before it. */
  units: string | null = null;
  unitsChanges = 0;
  firstStoredMicros = Number.POSITIVE_INFINITY;
  lastChangedMicros = Number.NEGATIVE_INFINITY;
  lateChunkCount = 0;
  lastLateMicros: number | null = null;
  readonly #pointsPerChunk: number;
  readonly #hash = createHash('sha256');
  readonly #index = Buffer.alloc(8);

  constructor(pointsPerChunk: number) {
    this.#pointsPerChunk = pointsPerChunk;
  }

  add(chunk: ChunkFacts): void {
    this.#index.writeBigInt64BE(BigInt(chunk.chunkIndex));
    this.#hash.update(this.#index).update(chunk.contentHash);
    this.chunkCount++;
    this.pointCount += chunk.pointCount;
    this.nullCount += chunk.nullCount;
    this.replacedCount += chunk.replacedCount;
    this.#addIndex(chunk.chunkIndex);
    this.#addIrregularities(chunk);
    this.#addTimes(chunk);
    if (chunk.replacedCount > 0) this.replaced.add(chunk);
    if (chunk.isLate) this.late.add(chunk);
    if (chunk.units !== null) {
      if (this.units !== null && this.units !== chunk.units) this.unitsChanges++;
      this.units = chunk.units;
    }
  }

  /** SHA-256 over index and content hash of every chunk; nothing can be added after it. */
  digest(): Buffer {
    return this.#hash.digest();
  }

  #addIndex(chunkIndex: number): void {
    const expected = this.highestChunkIndex + 1;
    if (chunkIndex > expected) {
      this.missing.push(expected);
      this.missing.push(chunkIndex - 1);
      this.missingCount += chunkIndex - expected;
    }
    this.highestChunkIndex = chunkIndex;
  }

  /** Compares with the times of the chunks before, so it comes before `#addTimes`. */
  #addIrregularities({ chunkIndex, pointCount, ascending, timeMin }: ChunkFacts): void {
    const isOverlapping = timeMin !== null && this.#previousTimeMax !== null && timeMin < this.#previousTimeMax;
    if (!ascending || isOverlapping) this.ascending = false;
    const kinds =
      (pointCount > this.#pointsPerChunk ? irregularities.long : 0) |
      (pointCount < this.#pointsPerChunk ? irregularities.short : 0) |
      (ascending ? 0 : irregularities.not_ascending) |
      (isOverlapping ? irregularities.overlapping : 0);
    if (kinds === 0) return;
    this.irregularCount++;
    for (const number of [chunkIndex, pointCount, kinds]) this.irregular.push(number);
  }

  #previousTimeMax: number | null = null;

  #addTimes({ timeMin, timeMax, storedMicros, changedMicros, isLate }: ChunkFacts): void {
    if (timeMin !== null && timeMax !== null) {
      this.timeMin = Math.min(this.timeMin ?? timeMin, timeMin);
      this.timeMax = Math.max(this.timeMax ?? timeMax, timeMax);
      this.#previousTimeMax = timeMax;
    }
    this.firstStoredMicros = Math.min(this.firstStoredMicros, storedMicros);
    this.lastChangedMicros = Math.max(this.lastChangedMicros, changedMicros);
    if (!isLate) return;
    this.lateChunkCount++;
    this.lastLateMicros = Math.max(this.lastLateMicros ?? changedMicros, changedMicros);
  }
}
