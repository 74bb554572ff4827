import type { PointLimits } from './limits.ts';
import { type PlannedChannel, readInOrder } from './merge.ts';
import type { Points } from './points.ts';
import { byMs } from './selection.ts';
import type { MsRange } from './time.ts';

/**
 * Adds points of a channel, at about even distances, to points that are shown already. This needs a pass over all points of
 * the range, so it is only for channels whose plan says little about them: most of their points are stored several times,
 * or have no time.
 * @param shown in order of time, one a ms
 * @param room how many points to add: at least `least`, if there are as many in other ms than those shown, and at most
 * `most`
 */
export async function fillUp(
  channel: PlannedChannel,
  range: MsRange,
  shown: Points,
  room: { least: number; most: number },
  limits: PointLimits,
): Promise<Points> {
  const others = new Thinned(2 * room.least);
  let next = 0;
  for await (const { times, values } of readInOrder(channel, { ...range, withValues: true }, byMs, limits)) {
    for (let i = 0; i < times.length; i++) {
      const ms = times[i] as number;
      while ((shown.times[next] as number) < ms) next++;
      if (shown.times[next] !== ms) others.add(ms, values[i] as number);
    }
  }
  return merged(shown, others.take(room.most));
}

/**
 * Keeps every n-th point that is added, and doubles n when it is full. So at least half of its room is used, if as many
 * points were added.
 */
class Thinned {
  readonly #times: Float64Array;
  readonly #values: Float64Array;
  #length = 0;
  #stride = 1;
  #seen = 0;

  /** @param room an even number */
  constructor(room: number) {
    this.#times = new Float64Array(room);
    this.#values = new Float64Array(room);
  }

  add(ms: number, value: number): void {
    if (this.#seen++ % this.#stride !== 0) return;
    if (this.#length === this.#times.length) {
      this.#keep(this.#length / 2);
      // The number of points was even, so the next point is due by the new stride too.
      this.#stride *= 2;
    }
    this.#times[this.#length] = ms;
    this.#values[this.#length++] = value;
  }

  take(most: number): Points {
    if (this.#length > most) this.#keep(most);
    return { times: this.#times.subarray(0, this.#length), values: this.#values.subarray(0, this.#length) };
  }

  /** Keeps only `count` of the points, at even distances. */
  #keep(count: number): void {
    for (let i = 0; i < count; i++) {
      const from = Math.floor((i * this.#length) / count);
      this.#times[i] = this.#times[from] as number;
      this.#values[i] = this.#values[from] as number;
    }
    this.#length = count;
  }
}

function merged(one: Points, other: Points): Points {
  const length = one.times.length + other.times.length;
  const both = { times: new Float64Array(length), values: new Float64Array(length) };
  let [i, k] = [0, 0];
  for (let at = 0; at < length; at++) {
    // Behind the end of a list the time is undefined, and the comparison is false.
    const isOne = k === other.times.length || (one.times[i] as number) < (other.times[k] as number);
    both.times[at] = (isOne ? one.times[i] : other.times[k]) as number;
    both.values[at] = (isOne ? one.values[i++] : other.values[k++]) as number;
  }
  return both;
}
