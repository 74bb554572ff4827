import {
  ascendsBy,
  extremesBetween,
  keepsApart,
  readingAt,
  type SeriesScan,
  scanOf,
} from '../database/packed-extremes.ts';
import { decodeSeries } from '../database/stored-series.ts';
import type { SeriesOfChunk } from './channel-source.ts';
import type { ExtremesOfParts } from './extremes-of-parts.ts';
import type { Points } from './points.ts';
import { type MsRange, msOf } from './time.ts';

/**
 * Divides the points of a chunk that lie in a range into `count` parts of equal size, in their stored order. Points that
 * share a ms with the point before belong to its part, and count as one. With a count of 0 all points belong to the part
 * that was begun before.
 */
export function addChunk(
  parts: ExtremesOfParts,
  { times, values }: SeriesOfChunk,
  range: MsRange,
  count: number,
): void {
  const [timeScan, valueScan] = [scanOf(times), scanOf(values)];
  if (timeScan !== undefined && valueScan !== undefined && isEven(timeScan, valueScan, range, count)) {
    addRuns(parts, timeScan, valueScan, count);
  } else addPoints(parts, { times: decodeSeries(times), values: decodeSeries(values) }, range, count);
}

/**
 * Whether parts can be cut by position alone: each point lies in the range, and its ms is later than that of the point
 * before. Then only the times of extremes are needed, and readings are compared without decoding them.
 */
function isEven(times: SeriesScan, values: SeriesScan, { fromMs, toMs }: MsRange, count: number): boolean {
  const { pointCount } = times;
  return (
    count <= pointCount &&
    keepsApart(values) &&
    ascendsBy(times, 0.001) &&
    msOf(readingAt(times, 0)) >= fromMs &&
    msOf(readingAt(times, pointCount - 1)) <= toMs
  );
}

function addRuns(parts: ExtremesOfParts, times: SeriesScan, values: SeriesScan, count: number): void {
  const { pointCount } = times;
  for (let run = 0; run < Math.max(1, count); run++) {
    if (count > 0) parts.begin();
    const from = count === 0 ? 0 : Math.ceil((run * pointCount) / count);
    const to = count === 0 ? pointCount : Math.ceil(((run + 1) * pointCount) / count);
    const { least, greatest } = extremesBetween(values, from, to);
    if (least === -1) {
      parts.add(msOf(readingAt(times, from)), Number.NaN);
      continue;
    }
    parts.add(msOf(readingAt(times, least)), readingAt(values, least));
    parts.add(msOf(readingAt(times, greatest)), readingAt(values, greatest));
  }
}

/** @param chunk its arrays are overwritten */
function addPoints(parts: ExtremesOfParts, chunk: Points, { fromMs, toMs }: MsRange, count: number): void {
  const { times, values } = chunk;
  let length = 0;
  let instants = 0;
  let previousMs = Number.NaN;
  for (let i = 0; i < times.length; i++) {
    const ms = msOf(times[i] as number);
    // An absent time is NaN and fails both comparisons.
    if (!(ms >= fromMs && ms <= toMs)) continue;
    if (ms !== previousMs) instants++;
    times[length] = previousMs = ms;
    values[length++] = values[i] as number;
  }
  let instant = 0;
  let begun = 0;
  previousMs = Number.NaN;
  for (let i = 0; i < length; i++) {
    const ms = times[i] as number;
    if (ms !== previousMs) {
      if (begun < count && instant * count >= begun * instants) {
        parts.begin();
        begun++;
      }
      instant++;
      previousMs = ms;
    }
    parts.add(ms, values[i] as number);
  }
}
