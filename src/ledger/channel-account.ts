import { createHash } from 'node:crypto';
import { GrowingFloats } from '../lib/growing-floats.ts';
import { type JumpLimits, TimeJumps } from './time-jumps.ts';

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
export const irregularities = { long: 1, short: 2, not_ascending: 4, overlapping: 8, time_jump: 16 } as const;

/**
 * What the chunks of one channel add up to, given in order of their index and then finished. Lists are arrays of numbers, so that a million
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

  readonly #jumps: TimeJumps;
  /** The chunk that was added last: whether it is irregular also depends on the next one. */
  #last: { chunk: ChunkFacts; kinds: number } | undefined;

  constructor(pointsPerChunk: number, limits: JumpLimits) {
    this.#pointsPerChunk = pointsPerChunk;
    this.#jumps = new TimeJumps(limits);
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
    if (chunk.units !== null) {
      if (this.units !== null && this.units !== chunk.units) this.unitsChanges++;
      this.units = chunk.units;
    }
  }

  /** After the last chunk. */
  finish(): void {
    this.#settleLast(undefined);
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
  #addIrregularities(chunk: ChunkFacts): void {
    const { pointCount, ascending, timeMin } = chunk;
    const isOverlapping = timeMin !== null && this.#previousTimeMax !== null && timeMin < this.#previousTimeMax;
    if (!ascending || isOverlapping) this.ascending = false;
    const kinds =
      (pointCount > this.#pointsPerChunk ? irregularities.long : 0) |
      (pointCount < this.#pointsPerChunk ? irregularities.short : 0) |
      (ascending ? 0 : irregularities.not_ascending) |
      (isOverlapping ? irregularities.overlapping : 0);
    this.#settleLast(chunk);
    this.#last = { chunk, kinds };
  }

  #settleLast(next: ChunkFacts | undefined): void {
    if (this.#last === undefined) return;
    const { chunkIndex, pointCount } = this.#last.chunk;
    const jump = this.#jumps.isJump(this.#last.chunk, next) ? irregularities.time_jump : 0;
    const kinds = this.#last.kinds | jump;
    this.#last = undefined;
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
