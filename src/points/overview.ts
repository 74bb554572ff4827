import { decodeColumn, decodeColumns, encodeColumns, findColumns, numberAt } from '../database/columns-image.ts';
import type { Packer } from '../database/series-packer.ts';
import { msOf } from './time.ts';

/*
 * The overview of a channel: a tree over its chunks. A block of level 1 stands for `fanOut` chunks whose indexes follow each other,
 * one of level 2 for as many blocks of level 1, and so on. It is stored with a summary of each of its children, and only where
 * all of them are there. What it stands for is known from it exactly, so a read may pass by the rows of the chunks
 * (docs/decisions/0044-stored-overviews.md).
 */

/** Children of a block. The table and its trigger rely on it (migrations/0014). */
export const fanOut = 64;

/** What is known of a chunk without its arrays. Times are in Unix seconds, and NaN where there is none. */
export const chunkColumns = [
  'pointCount',
  'timeMin',
  'timeMax',
  'valueMin',
  'valueMinTime',
  'valueMax',
  'valueMaxTime',
] as const;

/**
 * Of a block also the latest first time of its chunks; how many points they have where parts are divided (`parts.ts`); and how
 * close their points lie at most.
 */
const blockColumns = [...chunkColumns, 'timeMinMax', 'fittingPoints', 'pointsPerMs'] as const;

export type Summary = Record<(typeof blockColumns)[number], number>;
export type Summaries = Record<(typeof blockColumns)[number], Float64Array>;

const columnNames = (level: number) => (level === 1 ? chunkColumns : blockColumns);

/** @param level of the block whose children these are */
export function encodeSummaries(summaries: Summaries, level: number, packer: Packer): Buffer {
  return encodeColumns(
    columnNames(level).map((name) => summaries[name]),
    packer,
  );
}

/** @throws when it is not the image of so many children */
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

/** Children of a block of level 1, of which only those numbers are decoded that are asked for. */
export interface ChunkChildren {
  column(name: ChunkColumn): Float64Array;
  number(name: ChunkColumn, child: number): number;
  /** How many points of each count where parts are divided. */
  fittingPoints(): Float64Array;
}

type ChunkColumn = (typeof chunkColumns)[number];

/** @returns undefined where the image is damaged */
export function chunkChildren(image: Buffer, length = fanOut): ChunkChildren | undefined {
  let places: number[];
  try {
    places = findColumns(image, chunkColumns.length, length);
  } catch {
    return undefined;
  }
  const placeOf = (name: ChunkColumn) => places[chunkColumns.indexOf(name)] as number;
  /** Room for those that are asked for as a rule: memory of its own for each would take as long as decoding. */
  const room = new Float64Array(4 * length);
  let used = 0;
  const column = (name: ChunkColumn) => {
    const numbers = used < room.length ? room.subarray(used, used + length) : new Float64Array(length);
    used += length;
    decodeColumn(image, placeOf(name), numbers);
    return numbers;
  };
  return {
    column,
    number: (name, child) => numberAt(image, placeOf(name), child),
    fittingPoints() {
      const [timeMin, timeMax] = [column('timeMin'), column('timeMax')];
      return column('pointCount').map((points, i) =>
        fittingPointsOf(points, msOf(timeMax[i] as number) - msOf(timeMin[i] as number)),
      );
    },
  };
}

/** The same of summaries that are decoded. */
export const asChunkChildren = (summaries: Summaries): ChunkChildren => ({
  column: (name) => summaries[name],
  number: (name, child) => summaries[name][child] as number,
  fittingPoints: () => summaries.fittingPoints,
});

/** As decodeSummaries, and undefined where the image is damaged: what is not known from an overview is looked up in the chunks. */
export function decodeIfWhole(image: Buffer, level: number): Summaries | undefined {
  try {
    return decodeSummaries(image, level);
  } catch {
    return undefined;
  }
}

/** Columns of zeros. All share one piece of memory: an answer may read those of a thousand blocks. */
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

/** How many of the points of a chunk count where parts are divided: points of one ms count once. */
export const fittingPointsOf = (points: number, spanMs: number) => Math.min(points, spanMs + 1);

/** How close the points of a chunk lie; 0 where all have one ms. */
export const pointsPerMsOf = (points: number, spanMs: number) => (spanMs > 0 ? (points - 1) / spanMs : 0);

/** The summary of a block from those of its children. */
export function summaryOf(children: Summaries): Summary {
  const { valueMin, valueMinTime, valueMax, valueMaxTime } = children;
  const sum = (column: Float64Array) => column.reduce((total, one) => total + one, 0);
  const least = placeOfExtreme(valueMin, -1, (i) => valueMinTime[i] as number);
  const greatest = placeOfExtreme(valueMax, 1, (i) => valueMaxTime[i] as number);
  return {
    pointCount: sum(children.pointCount),
    timeMin: Math.min(...children.timeMin),
    timeMax: Math.max(...children.timeMax),
    valueMin: valueMin[least] ?? Number.NaN,
    valueMinTime: valueMinTime[least] ?? Number.NaN,
    valueMax: valueMax[greatest] ?? Number.NaN,
    valueMaxTime: valueMaxTime[greatest] ?? Number.NaN,
    timeMinMax: Math.max(...children.timeMinMax),
    fittingPoints: sum(children.fittingPoints),
    pointsPerMs: Math.max(...children.pointsPerMs),
  };
}

/**
 * Where the smallest value is (sign -1), of equal ones the earliest; or the largest (1), of equal ones the latest: as the
 * extremes of a part are chosen (`extremes.ts`).
 * @param timeOf is asked where values are equal
 * @returns -1 where all are absent
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
