import { GrowingFloats } from '../lib/growing-floats.ts';

interface MarkedChunk {
  chunkIndex: number;
  /** Unix seconds; null when no point has a possible time. */
  timeMin: number | null;
  timeMax: number | null;
}

/** Numbers that are stored for one run. */
const width = 4;

/**
 * Chunks that are marked for the reader, as runs of adjacent indexes: first and last index, earliest and latest time in
 * Unix seconds, NaN where no point has a possible time. Chunks are added in order of their index.
 */
export class MarkedChunks {
  readonly #runs = new GrowingFloats();

  add({ chunkIndex, timeMin, timeMax }: MarkedChunk): void {
    const runs = this.#runs.view();
    const last = runs.length - width;
    if (last >= 0 && runs[last + 1] === chunkIndex - 1) {
      runs[last + 1] = chunkIndex;
      // Where one of the two is NaN or null, the other counts.
      runs[last + 2] = Math.min(timeMin ?? Number.POSITIVE_INFINITY, orElse(runs[last + 2], Number.POSITIVE_INFINITY));
      runs[last + 3] = Math.max(timeMax ?? Number.NEGATIVE_INFINITY, orElse(runs[last + 3], Number.NEGATIVE_INFINITY));
      return;
    }
    for (const number of [chunkIndex, chunkIndex, timeMin ?? Number.NaN, timeMax ?? Number.NaN])
      this.#runs.push(number);
  }

  *runs(): Generator<{ first: number; last: number; timeMin: number | null; timeMax: number | null }> {
    const runs = this.#runs.view();
    for (let i = 0; i < runs.length; i += width) {
      const [first, last, timeMin, timeMax] = runs.subarray(i, i + width) as unknown as [
        number,
        number,
        number,
        number,
      ];
      yield { first, last, timeMin: finite(timeMin), timeMax: finite(timeMax) };
    }
  }
}

const orElse = (number: number | undefined, other: number) => (Number.isFinite(number) ? (number as number) : other);
const finite = (number: number) => (Number.isFinite(number) ? number : null);
