import { createHash } from 'node:crypto';
import type { HabitLimits, UsualCounts } from '../lib/habits.ts';
import { finerUnitOf, type PlausibleTimes } from '../lib/time-unit.ts';
import { Holes } from './holes.ts';
import { IrregularRuns, irregularities } from './irregular-runs.ts';
import { MarkedChunks } from './marked-chunks.ts';
import { type JumpLimits, TimeJumps } from './time-jumps.ts';

export type AccountLimits = JumpLimits & HabitLimits & PlausibleTimes;

/** What an account needs to know of a stored chunk. */
export interface ChunkFacts {
  chunkIndex: number;
  pointCount: number;
  nullCount: number;
  /** Unix seconds; null when no point has a possible time. */
  timeMin: number | null;
  timeMax: number | null;
  ascending: boolean;
  /** The first timestamp that is not plausible as Unix seconds; null where there is none. */
  implausibleTime: number | null;
  units: string | null;
  /** When it was first stored and last changed, in µs since 2000, as PostgreSQL counts. */
  storedMicros: number;
  changedMicros: number;
  replacedCount: number;
  /** Stored or replaced after the stream was finalized. */
  isLate: boolean;
  contentHash: Buffer;
}

/**
 * Sums up the chunks of one channel. Chunks are added in order of their index; then `finish` is called. Lists are arrays of
 * numbers, so that a million entries take little memory.
 */
export class ChannelAccount {
  chunkCount = 0;
  pointCount = 0;
  nullCount = 0;
  replacedCount = 0;
  readonly holes: Holes;
  readonly irregular = new IrregularRuns();
  readonly usualCounts: UsualCounts;
  /** Chunks whose content was replaced. */
  readonly replaced = new MarkedChunks();
  /** Chunks that were stored or replaced after the stream was finalized. */
  readonly late = new MarkedChunks();
  /** Unix seconds. */
  timeMin: number | null = null;
  timeMax: number | null = null;
  /** Whether every timestamp is a possible time and none steps back, over all chunks in order of their index. */
  ascending = true;
  /** The unit of the highest chunk that has one; and how often a chunk has another unit than the chunks before it. */
  units: string | null = null;
  unitsChanges = 0;
  firstStoredMicros = Number.POSITIVE_INFINITY;
  lastChangedMicros = Number.NEGATIVE_INFINITY;
  lateChunkCount = 0;
  lastLateMicros: number | null = null;
  readonly #pointsPerChunk: number;
  readonly #plausible: PlausibleTimes;
  readonly #hash = createHash('sha256');
  readonly #index = Buffer.alloc(8);
  readonly #jumps: TimeJumps;
  /** The chunk that was added last. Whether it is irregular also depends on the next chunk. */
  #last: { chunk: ChunkFacts; kinds: number } | undefined;

  /**
   * @param pointsPerChunk of the stream: a chunk with more points may be long
   * @param usualCounts of the channel: a chunk with fewer points is short, one with more may be long
   */
  constructor(pointsPerChunk: number, usualCounts: UsualCounts, limits: AccountLimits) {
    this.#pointsPerChunk = pointsPerChunk;
    this.usualCounts = usualCounts;
    this.#plausible = limits;
    this.#jumps = new TimeJumps(limits);
    this.holes = new Holes(limits);
  }

  add(chunk: ChunkFacts): void {
    this.#index.writeBigInt64BE(BigInt(chunk.chunkIndex));
    this.#hash.update(this.#index).update(chunk.contentHash);
    this.chunkCount++;
    this.pointCount += chunk.pointCount;
    this.nullCount += chunk.nullCount;
    this.replacedCount += chunk.replacedCount;
    this.holes.add(chunk.chunkIndex);
    this.#addIrregularities(chunk);
    this.#addTimes(chunk);
    if (chunk.replacedCount > 0) this.replaced.add(chunk);
    if (chunk.isLate) this.late.add(chunk);
    if (chunk.units !== null) {
      if (this.units !== null && this.units !== chunk.units) this.unitsChanges++;
      this.units = chunk.units;
    }
  }

  /** To be called after the last chunk. */
  finish(): void {
    this.#addLast(undefined);
    this.irregular.finish();
    this.holes.finish();
  }

  /** SHA-256 over index and content hash of every chunk. Nothing can be added after this call. */
  digest(): Buffer {
    return this.#hash.digest();
  }

  /** Compares with the times of the chunks before, so it must run before `#addTimes`. */
  #addIrregularities(chunk: ChunkFacts): void {
    const { pointCount, ascending, timeMin, implausibleTime } = chunk;
    const isOverlapping = timeMin !== null && this.#previousTimeMax !== null && timeMin < this.#previousTimeMax;
    if (!ascending || isOverlapping) this.ascending = false;
    const { fewest, most } = this.usualCounts;
    const kinds =
      (pointCount > Math.max(most, this.#pointsPerChunk) ? irregularities.long : 0) |
      (pointCount < fewest ? irregularities.short : 0) |
      (ascending ? 0 : irregularities.not_ascending) |
      (isOverlapping ? irregularities.overlapping : 0) |
      (implausibleTime === null ? 0 : this.#kindOf(implausibleTime));
    this.#addLast(chunk);
    this.#last = { chunk, kinds };
  }

  #addLast(next: ChunkFacts | undefined): void {
    if (this.#last === undefined) return;
    const { chunk, kinds } = this.#last;
    const jump = this.#jumps.isJump(chunk, next) ? irregularities.time_jump : 0;
    this.irregular.add(chunk.chunkIndex, chunk.pointCount, kinds | jump);
    this.#last = undefined;
  }

  #kindOf(implausibleTime: number): number {
    const unit = finerUnitOf(implausibleTime, this.#plausible);
    return unit === undefined ? irregularities.implausible_times : irregularities[`times_in_${unit}`];
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
