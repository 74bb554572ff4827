import type { LedgerLimits } from './limits.ts';

export type JumpLimits = Pick<LedgerLimits, 'jumpSecondsMin' | 'jumpStepsMin'>;

interface TimedChunk {
  pointCount: number;
  /** Unix seconds; null when no point has a possible time. */
  timeMin: number | null;
  timeMax: number | null;
}

/**
 * Finds the chunks of a channel at which time jumps: there is a pause before the chunk, or one of its times is far from its
 * others, as when a clock was not set yet. "Far" is measured in steps: the mean distance of the points in the chunks beside
 * it. So a channel with one point a week does not jump.
 */
export class TimeJumps {
  readonly #limits: JumpLimits;
  /** The mean step of the last chunk without a jump inside. */
  #stepBefore = Number.NaN;
  #endBefore: number | null = null;

  constructor(limits: JumpLimits) {
    this.#limits = limits;
  }

  /** Is called for chunks in order of their index, each with the chunk after it. */
  isJump(chunk: TimedChunk, after: TimedChunk | undefined): boolean {
    const { timeMin, timeMax } = chunk;
    if (timeMin === null || timeMax === null) return false;
    const step = stepOf(chunk);
    const stepAfter = after === undefined ? Number.NaN : stepOf(after);
    const pause = this.#endBefore === null ? 0 : timeMin - this.#endBefore;
    // With no chunk to compare with, the mean step itself must be longer than the shortest jump.
    const isInside = this.#isFar(timeMax - timeMin, step, smallest(this.#stepBefore, stepAfter));
    const isBefore = this.#isFar(pause, pause, smallest(this.#stepBefore, step, stepAfter));
    if (!isInside && step > 0) this.#stepBefore = step;
    this.#endBefore = timeMax;
    return isInside || isBefore;
  }

  #isFar(seconds: number, step: number, usualStep: number): boolean {
    const { jumpSecondsMin, jumpStepsMin } = this.#limits;
    return seconds > jumpSecondsMin && step > (Number.isNaN(usualStep) ? jumpSecondsMin : usualStep * jumpStepsMin);
  }
}

/** Mean distance of the points of a chunk in seconds; NaN where it is unknown. */
function stepOf({ pointCount, timeMin, timeMax }: TimedChunk): number {
  if (timeMin === null || timeMax === null || timeMin === timeMax) return Number.NaN;
  return (timeMax - timeMin) / (pointCount - 1);
}

const smallest = (...steps: number[]) => {
  const known = steps.filter((step) => !Number.isNaN(step));
  return known.length === 0 ? Number.NaN : Math.min(...known);
};
