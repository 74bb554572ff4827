import { ascendingOrder } from '../lib/ascending-order.ts';
import type { Reading } from '../lib/reading.ts';
import type { Points } from './points.ts';
import type { MsRange } from './time.ts';

type Point = [ms: number, value: number];

/**
 * Sorts points by ms and leaves one point in each ms, as an answer must have them. Where a ms has several values, the
 * smallest and the largest stay, and one of them moves to a free ms beside it. Where neither ms beside it is free, the
 * smallest and the largest of both ms stay. So the extremes of all points are kept. An absent reading stays only where its
 * ms has no other.
 * @param points times in ms; the arrays are overwritten
 * @param range in which all points lie; at least two ms
 */
export async function onePerMs(points: Points, range: MsRange, rest: Reading['rest']): Promise<Points> {
  await rest();
  const isAscending = points.times.every((ms, i) => i === 0 || ms >= (points.times[i - 1] as number));
  const { times, values } = isAscending ? points : await sortedByTime(points, rest);
  let length = 0;
  const put = (ms: number, value: number) => {
    times[length] = ms;
    values[length++] = value;
  };
  for (let i = 0; i < times.length; ) {
    const ms = times[i] as number;
    let [least, greatest] = [values[i] as number, values[i] as number];
    for (i++; times[i] === ms; i++) {
      const value = values[i] as number;
      if (!(least <= value) && !Number.isNaN(value)) least = value;
      if (!(greatest >= value) && !Number.isNaN(value)) greatest = value;
    }
    if (!(least < greatest)) {
      put(ms, least);
      continue;
    }
    const lastMs = length === 0 ? range.fromMs - 1 : (times[length - 1] as number);
    if (ms < range.toMs && times[i] !== ms + 1) {
      put(ms, least);
      put(ms + 1, greatest);
    } else if (lastMs < ms - 1) {
      put(ms - 1, least);
      put(ms, greatest);
    } else if (ms < range.toMs) {
      const crowd: Point[] = [
        [ms, least],
        [ms, greatest],
      ];
      for (; times[i] === ms + 1; i++) crowd.push([ms + 1, values[i] as number]);
      for (const point of extremesOf(crowd, ms)) put(...point);
    } else {
      length--;
      const crowd: Point[] = [
        [lastMs, values[length] as number],
        [ms, least],
        [ms, greatest],
      ];
      for (const point of extremesOf(crowd, lastMs)) put(...point);
    }
  }
  return { times: times.subarray(0, length), values: values.subarray(0, length) };
}

async function sortedByTime({ times, values }: Points, rest: Reading['rest']): Promise<Points> {
  const { length } = times;
  const order = await ascendingOrder(length, (a, b) => (times[a] as number) > (times[b] as number), rest);
  const sorted = { times: new Float64Array(length), values: new Float64Array(length) };
  for (let i = 0; i < length; i++) {
    sorted.times[i] = times[order[i] as number] as number;
    sorted.values[i] = values[order[i] as number] as number;
  }
  return sorted;
}

/** The smallest and the largest of some values in two adjacent ms, one in each. The values are not all equal. */
function extremesOf(crowd: Point[], firstMs: number): Point[] {
  const byValue = crowd.filter(([, value]) => !Number.isNaN(value)).sort((a, b) => a[1] - b[1]);
  const [least, greatest] = [byValue[0] as Point, byValue.at(-1) as Point];
  if (least[0] !== greatest[0]) return [least, greatest].sort((a, b) => a[0] - b[0]);
  return [
    [firstMs, least[1]],
    [firstMs + 1, greatest[1]],
  ];
}
