import {
  columnAscends,
  decodeColumn,
  decodeColumns,
  encodeColumns,
  findColumns,
  numberAt,
} from '../database/columns-image.ts';
import type { Packer } from '../database/series-packer.ts';
import { msOf } from './time.ts';

/*
 * The overview of a channel is a tree over its chunks. A block of level 1 stands for `fanOut` chunks of successive indexes,
 * a block of level 2 for as many blocks of level 1, and so on. A block is stored with a summary of each of its children,
 * and only where all of them exist. A summary is exact, so a read need not look at the rows of the chunks
 * (docs/decisions/0044-stored-overviews.md).
 */

/** Children of a block. The table and its trigger rely on this number (migrations/0014). */
export const fanOut = 64;

/** What is known of a chunk without its arrays. Times are in Unix seconds, and NaN where there is none. */
export const coarseColumns = [
  'pointCount',
  'timeMin',
  'timeMax',
  'valueMin',
  'valueMinTime',
  'valueMax',
  'valueMaxTime',
] as const;

/**
 * A block has three numbers more: the latest first time of its chunks; how many of their points count when parts are
 * divided (`parts.ts`); and how close the points lie at most.
 */
const blockColumns = [...coarseColumns, 'timeMinMax', 'fittingPoints', 'pointsPerMs'] as const;

export type Summary = Record<(typeof blockColumns)[number], number>;
export type Summaries = Record<(typeof blockColumns)[number], Float64Array>;

const columnNames = (level: number) => (level === 1 ? coarseColumns : blockColumns);

/** @param level of the block whose children these are */
export function encodeSummaries(summaries: Summaries, level: number, packer: Packer): Buffer {
  return encodeColumns(
    columnNames(level).map((name) => summaries[name]),
    packer,
  );
}

/** @throws where the image does not hold `length` children */
export function decodeSummaries(image: Buffer, level: number, length = fanOut): Summaries {
  const summaries = emptySummaries(length);
  decodeColumns(
    image,
    columnNames(level).map((name) => summaries[name]),
  );
  if (level > 1) return summaries;
  const { pointCount, timeMin, timeMax, timeMinMax, fittingPoints, pointsPerMs } = summaries;
  timeMinMax.set(timeMin);
  for (let i = 0; i < length; i++) {
    const spanMs = msOf(timeMax[i] as number) - msOf(timeMin[i] as number);
    fittingPoints[i] = fittingPointsOf(pointCount[i] as number, spanMs);
    pointsPerMs[i] = pointsPerMsOf(pointCount[i] as number, spanMs);
  }
  return summaries;
}

/**
 * The children of a block; only the numbers that are asked for are decoded. A column is valid until the same column of
 * another block of that level and channel is asked for: to allocate memory for each column would take longer than to decode
 * it.
 */
export interface BlockChildren {
  column(name: BlockColumn): Float64Array;
  number(name: BlockColumn, child: number): number;
  /** Whether no number of a column is smaller than the one before. May say no where two differ only by rounding. */
  ascends(name: BlockColumn): boolean;
}

/** Children of level 1 blocks have only those of `chunkColumns`. */
type BlockColumn = (typeof blockColumns)[number];

/** Reads blocks of a level. The reader returns undefined for a damaged image. */
export function createChildrenReader(level: number, length = fanOut): (image: Buffer) => BlockChildren | undefined {
  const names = columnNames(level);
  const placeOf = new Map<BlockColumn, number>(names.map((name, place) => [name, place]));
  const room = names.map(() => new Float64Array(length));
  return (image) => {
    let places: number[];
    try {
      places = findColumns(image, names.length, length);
    } catch {
      return undefined;
    }
    return {
      column(name) {
        const place = placeOf.get(name) as number;
        decodeColumn(image, places[place] as number, room[place] as Float64Array);
        return room[place] as Float64Array;
      },
      number: (name, child) => numberAt(image, places[placeOf.get(name) as number] as number, child),
      ascends: (name) => columnAscends(image, places[placeOf.get(name) as number] as number, length),
    };
  };
}

/** The same interface on summaries that are already decoded. */
export const asBlockChildren = (summaries: Summaries): BlockChildren => ({
  column: (name) => summaries[name],
  number: (name, child) => summaries[name][child] as number,
  ascends: (name) => summaries[name].every((one, i) => i === 0 || one >= (summaries[name][i - 1] as number)),
});

/** As decodeSummaries, but undefined where the image is damaged: then the read looks up the chunks instead. */
export function decodeIfWhole(image: Buffer, level: number): Summaries | undefined {
  try {
    return decodeSummaries(image, level);
  } catch {
    return undefined;
  }
}

/** Columns of zeros. They share one buffer, because an answer may read the columns of a thousand blocks. */
export function emptySummaries(length: number): Summaries {
  const numbers = new Float64Array(blockColumns.length * length);
  const column = (place: number) => numbers.subarray(place * length, (place + 1) * length);
  return {
    pointCount: column(0),
    timeMin: column(1),
    timeMax: column(2),
    valueMin: column(3),
    valueMinTime: column(4),
    valueMax: column(5),
    valueMaxTime: column(6),
    timeMinMax: column(7),
    fittingPoints: column(8),
    pointsPerMs: column(9),
  };
}

/** One summary as columns of one element. */
export const columnsOf = (summary: Summary) =>
  Object.fromEntries(blockColumns.map((name) => [name, Float64Array.of(summary[name])])) as Summaries;

/** How many points of a chunk count when parts are divided: points that share a ms count once. */
export const fittingPointsOf = (points: number, spanMs: number) => Math.min(points, spanMs + 1);

/** How close the points of a chunk lie; 0 where all have the same ms. */
export const pointsPerMsOf = (points: number, spanMs: number) => (spanMs > 0 ? (points - 1) / spanMs : 0);

/** Makes the summary of a block from those of its children. */
export function blockSummaryOf(children: Summaries): Summary {
  const { valueMin, valueMinTime, valueMax, valueMaxTime } = children;
  const sum = (column: Float64Array) => column.reduce((total, one) => total + one, 0);
  const least = placeOfExtreme(valueMin, -1, (i) => valueMinTime[i] as number);
  const greatest = placeOfExtreme(valueMax, 1, (i) => valueMaxTime[i] as number);
  return {
    pointCount: sum(children.pointCount),
    timeMin: smallestOf(children.timeMin),
    timeMax: largestOf(children.timeMax),
    valueMin: valueMin[least] ?? Number.NaN,
    valueMinTime: valueMinTime[least] ?? Number.NaN,
    valueMax: valueMax[greatest] ?? Number.NaN,
    valueMaxTime: valueMaxTime[greatest] ?? Number.NaN,
    timeMinMax: largestOf(children.timeMinMax),
    fittingPoints: sum(children.fittingPoints),
    pointsPerMs: largestOf(children.pointsPerMs),
  };
}

const smallestOf = (column: Float64Array) => column.reduce((least, one) => Math.min(least, one), column[0] as number);
const largestOf = (column: Float64Array) => column.reduce((most, one) => Math.max(most, one), column[0] as number);

/**
 * Where the smallest value is (sign -1; of equal ones the earliest), or the largest (sign 1; of equal ones the latest). The
 * extremes of a part are chosen in the same way (`extremes.ts`).
 * @param timeOf is called only where values are equal
 * @returns -1 where all values are absent
 */
export function placeOfExtreme(
  values: Float64Array,
  sign: 1 | -1,
  timeOf: (place: number) => number,
  from = 0,
  to = values.length,
): number {
  let place = -1;
  let best = Number.NaN;
  for (let i = from; i < to; i++) {
    const value = sign * (values[i] as number);
    if (value < best || Number.isNaN(value)) continue;
    if (value === best && sign * timeOf(i) <= sign * timeOf(place)) continue;
    place = i;
    best = value;
  }
  return place;
}
