import { ascendingOrder } from '../lib/ascending-order.ts';
import { GrowingFloats } from '../lib/growing-floats.ts';
import type { Reading } from '../lib/reading.ts';
import { columnsOf, fittingPointsOf, pointsPerMsOf, type Summaries, type Summary } from './overview.ts';
import { msOf } from './time.ts';

/**
 * The chunks that a read goes through, in order. Each is a few numbers in columns and no object, so that a channel of a
 * million chunks can be planned in memory.
 */
export interface ChunkPlan {
  length: number;
  chunkIndexes: Float64Array;
  /** Points of each chunk, also those without a possible time. */
  pointCounts: Float64Array;
  /** Span of the times of each chunk, in ms. */
  firstMs: Float64Array;
  lastMs: Float64Array;
}

/**
 * A plan that also has the extreme values of each chunk and their times: NaN where no point has both value and time. An
 * entry may be a block of the overview (`overview.ts`) instead of a chunk. A block stands for chunks of successive indexes.
 * They lie wholly in the range, and in order of time all of them come after the entry before it.
 */
export interface SummaryPlan extends ChunkPlan {
  minValues: Float64Array;
  minMs: Float64Array;
  maxValues: Float64Array;
  maxMs: Float64Array;
  /** 0 for a chunk. Of a block, `chunkIndexes` has the first of its chunks. */
  levels: Float64Array;
  /** The latest first ms among the chunks of an entry. */
  firstMsMax: Float64Array;
  /** How many points count when parts are divided, and how close points lie at most. */
  fittingPoints: Float64Array;
  pointsPerMs: Float64Array;
}

/**
 * Collects a plan. Times arrive in seconds. All arguments are plain numbers: an object for each of 100,000 chunks would
 * take 0.3 s.
 */
export function createChunkPlan() {
  const columns = growingColumns('chunkIndexes', 'pointCounts', 'firstMs', 'lastMs');
  return {
    add(chunkIndex: number, pointCount: number, timeMin: number, timeMax: number) {
      columns.chunkIndexes.push(chunkIndex);
      columns.pointCounts.push(pointCount);
      columns.firstMs.push(msOf(timeMin));
      columns.lastMs.push(msOf(timeMax));
    },
    asAdded: (): ChunkPlan => viewOf(columns),
    /** In order of first time, then of chunk index. */
    byTime: (rest: Rest): Promise<ChunkPlan> => sortedByTime(viewOf(columns), rest),
  };
}

const summaryColumns = [
  ...(['chunkIndexes', 'pointCounts', 'firstMs', 'lastMs', 'minValues', 'minMs', 'maxValues', 'maxMs'] as const),
  ...(['levels', 'firstMsMax', 'fittingPoints', 'pointsPerMs'] as const),
];

/**
 * Collects a plan with summaries. Each chunk is added first and summarised then; children and blocks of an overview are
 * added with their summary.
 */
export function createSummaryPlan() {
  const columns = growingColumns(...summaryColumns);
  return {
    add(chunkIndex: number, pointCount: number, timeMin: number, timeMax: number) {
      const [firstMs, lastMs] = [msOf(timeMin), msOf(timeMax)];
      columns.chunkIndexes.push(chunkIndex);
      columns.pointCounts.push(pointCount);
      columns.firstMs.push(firstMs);
      columns.lastMs.push(lastMs);
      columns.levels.push(0);
      columns.firstMsMax.push(firstMs);
      columns.fittingPoints.push(fittingPointsOf(pointCount, lastMs - firstMs));
      columns.pointsPerMs.push(pointsPerMsOf(pointCount, lastMs - firstMs));
    },
    summarise(valueMin: number, valueMinTime: number, valueMax: number, valueMaxTime: number) {
      columns.minValues.push(valueMin);
      columns.minMs.push(msOf(valueMinTime));
      columns.maxValues.push(valueMax);
      columns.maxMs.push(msOf(valueMaxTime));
    },
    /** Adds a child of a block: a chunk (level 0), or a block of a lower level. */
    addChild(level: number, firstChunk: number, children: Summaries, child: number) {
      columns.chunkIndexes.push(firstChunk);
      columns.pointCounts.push(children.pointCount[child] as number);
      columns.firstMs.push(msOf(children.timeMin[child] as number));
      columns.lastMs.push(msOf(children.timeMax[child] as number));
      columns.minValues.push(children.valueMin[child] as number);
      columns.minMs.push(msOf(children.valueMinTime[child] as number));
      columns.maxValues.push(children.valueMax[child] as number);
      columns.maxMs.push(msOf(children.valueMaxTime[child] as number));
      columns.levels.push(level);
      columns.firstMsMax.push(msOf(children.timeMinMax[child] as number));
      columns.fittingPoints.push(children.fittingPoints[child] as number);
      columns.pointsPerMs.push(children.pointsPerMs[child] as number);
    },
    addBlock(level: number, firstChunk: number, summary: Summary) {
      this.addChild(level, firstChunk, columnsOf(summary), 0);
    },
    /** Adds an entry of another plan. */
    addEntry(plan: SummaryPlan, position: number) {
      for (const name of summaryColumns) columns[name].push(plan[name][position] as number);
    },
    byTime: (rest: Rest): Promise<SummaryPlan> => sortedByTime(viewOf(columns), rest),
  };
}

function growingColumns<Name extends string>(...names: Name[]) {
  return Object.fromEntries(names.map((name) => [name, new GrowingFloats()])) as Record<Name, GrowingFloats>;
}

function viewOf<Name extends string>(columns: Record<Name | 'firstMs', GrowingFloats>) {
  const views = mapColumns(columns, (column) => column.view());
  return { length: columns.firstMs.length, ...views };
}

type Rest = Reading['rest'];

async function sortedByTime<Plan extends ChunkPlan>(plan: Plan, rest: Rest): Promise<Plan> {
  const { length, ...columns } = plan;
  const { firstMs, chunkIndexes } = columns;
  const isAfter = (a: number, b: number) =>
    firstMs[a] === firstMs[b]
      ? (chunkIndexes[a] as number) > (chunkIndexes[b] as number)
      : (firstMs[a] as number) > (firstMs[b] as number);
  if (firstMs.every((_, i) => i === 0 || !isAfter(i - 1, i))) return plan;
  const order = await ascendingOrder(length, isAfter, rest);
  const sorted = mapColumns(columns as Omit<ChunkPlan, 'length'>, (column) => {
    const moved = new Float64Array(length);
    for (let i = 0; i < length; i++) moved[i] = column[order[i] as number] as number;
    return moved;
  });
  return { length, ...sorted } as Plan;
}

function mapColumns<Name extends string, From, To>(columns: Record<Name, From>, map: (column: From) => To) {
  const entries = Object.entries<From>(columns).map(([name, column]) => [name, map(column)]);
  return Object.fromEntries(entries) as Record<Name, To>;
}
