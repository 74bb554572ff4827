import type { ChunkPoints, Points } from './points.ts';
import type { Collapse } from './selection.ts';
import { msOf } from './time.ts';

/** Shorter chunks are gathered in a buffer, so that batches do not become too small. */
const longChunkPoints = 64;

/**
 * Whether chunks can go out as they are: each is long and ascends, they follow each other, and all end before `frontierMs`.
 */
export function followEachOther(chunks: readonly ChunkPoints[], frontierMs: number): boolean {
  let last = Number.NEGATIVE_INFINITY;
  let lastChunk = -1;
  for (const { chunkIndex, times } of chunks) {
    // Of two points of one time that of the higher chunk index stays, whichever chunk begins first.
    if (times.length < longChunkPoints || (times[0] === last && chunkIndex < lastChunk)) return false;
    lastChunk = chunkIndex;
    for (let i = 0; i < times.length; i++) {
      const seconds = times[i] as number;
      // An absent time is NaN and fails the comparison.
      if (!(seconds >= last)) return false;
      last = seconds;
    }
  }
  return msOf(last) < frontierMs;
}

/** Passes such chunks on in their own arrays, without the points up to `aboveMs` and those after `toMs`. */
export function* passOn(
  chunks: readonly ChunkPoints[],
  { aboveMs, toMs }: { aboveMs: number; toMs: number },
  collapse: Collapse,
): Generator<Points, void, void> {
  /** The last batch, held back: its last point and the first point of the next chunk may collapse into one. */
  let held: Points | undefined;
  for (const { times, values } of chunks) {
    let length = 0;
    for (let i = 0; i < times.length; i++) {
      const seconds = times[i] as number;
      const ms = msOf(seconds);
      if (ms <= aboveMs || ms > toMs) continue;
      const time = collapse(seconds);
      if (length > 0 && times[length - 1] === time) length--;
      times[length] = time;
      if (i < values.length) values[length] = values[i] as number;
      length++;
    }
    if (length === 0) continue;
    if (held !== undefined) {
      const isSame = held.times.at(-1) === times[0];
      const count = held.times.length - (isSame ? 1 : 0);
      if (count > 0) yield { times: held.times.subarray(0, count), values: held.values.subarray(0, count) };
    }
    held = { times: times.subarray(0, length), values: values.subarray(0, length) };
  }
  if (held !== undefined) yield held;
}
