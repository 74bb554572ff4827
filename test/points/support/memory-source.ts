import { encodeFloat8Array } from '../../../src/database/float8-array.ts';
import { createPacker } from '../../../src/database/series-packer.ts';
import type { StoredSeries } from '../../../src/database/stored-series.ts';
import { freely } from '../../../src/lib/reading.ts';
import { planChannelPoints } from '../../../src/points/channel-points.ts';
import type { ChannelSource, Neighbour } from '../../../src/points/channel-source.ts';
import { createChunkPlan, createSummaryPlan } from '../../../src/points/chunk-plan.ts';
import { type PointLimits, pointLimits } from '../../../src/points/limits.ts';
import { byMs, type Selection } from '../../../src/points/selection.ts';
import { type MsRange, msOf, wholeRange } from '../../../src/points/time.ts';
import { memoryOverview } from './memory-overview.ts';
import type { ModelChunk, ModelPoint } from './model.ts';

export const asMap = (chunks: ModelChunk[]) => new Map(chunks.map((one) => [one.chunk_index, one]));

/** Chunks in memory as a channel; others may take their places while they are read. All their times are possible ones. */
export function memorySource(
  stored: Map<number, ModelChunk>,
  onFetch: (points: number) => void = () => {},
  { fanOut = 64, isStored }: { fanOut?: number; isStored?: (level: number, block: number) => boolean } = {},
): ChannelSource {
  const chunks = () => [...stored.values()].sort((a, b) => a.chunk_index - b.chunk_index).map(summaryOfChunk);
  const touching = ({ fromMs, toMs }: MsRange) =>
    chunks().filter(
      ({ timeMin, timeMax }) => Number.isFinite(timeMin) && msOf(timeMax) >= fromMs && msOf(timeMin) <= toMs,
    );
  const take = (chunkIndexes: readonly number[]) => {
    const found = chunkIndexes.map((chunkIndex) => stored.get(chunkIndex) as ModelChunk);
    onFetch(found.reduce((sum, one) => sum + one.timestamps.length, 0));
    return found;
  };
  return {
    rest: freely.rest,
    enlarge: freely.enlarge,
    overview: memoryOverview(chunks, fanOut, isStored),
    span: spanOf(chunks()),
    chunkCount: stored.size,
    pointCount: chunks().reduce((sum, { pointCount }) => sum + pointCount, 0),
    async plan(range) {
      const plan = createChunkPlan();
      for (const one of touching(range)) plan.add(one.chunkIndex, one.pointCount, one.timeMin, one.timeMax);
      return plan.byTime(freely.rest);
    },
    async planWithSummaries(range, chunksMax) {
      const plan = createSummaryPlan();
      for (const one of touching(range).slice(0, chunksMax === undefined ? undefined : chunksMax + 1)) {
        plan.add(one.chunkIndex, one.pointCount, one.timeMin, one.timeMax);
        plan.summarise(one.valueMin, one.valueMinTime, one.valueMax, one.valueMaxTime);
      }
      return plan.byTime(freely.rest);
    },
    async fetch(chunkIndexes, withValues) {
      return take(chunkIndexes).map(({ chunk_index, timestamps, values }) => ({
        chunkIndex: chunk_index,
        times: readingsOf(timestamps),
        values: withValues ? readingsOf(values) : new Float64Array(0),
      }));
    },
    async fetchSeries(chunkIndexes) {
      return take(chunkIndexes).map(({ chunk_index, timestamps, values }) => ({
        chunkIndex: chunk_index,
        times: asStored(timestamps, chunk_index % 3 !== 0),
        values: asStored(values, chunk_index % 4 !== 0),
      }));
    },
    async listNewest(beforeSeconds, chunksMax) {
      return chunks()
        .filter(({ timeMin }) => timeMin < beforeSeconds)
        .sort((a, b) => b.timeMin - a.timeMin)
        .slice(0, chunksMax)
        .map((one) => ({
          chunk_index: one.chunkIndex,
          point_count: one.pointCount,
          time_min: one.timeMin,
          time_max: one.timeMax,
        }));
    },
    async listStepsBeside(holes, stepsMax) {
      const indexes = chunks().map(({ chunkIndex }) => chunkIndex);
      const stepsOf = (some: number[]) => some.slice(1).map((index, i) => index - (some[i] as number));
      return holes.map(({ fromChunk, toChunk }) => [
        ...stepsOf(indexes.filter((index) => index < fromChunk).slice(-1 - stepsMax)),
        ...stepsOf(indexes.filter((index) => index > toChunk).slice(0, stepsMax + 1)),
      ]);
    },
    async listNeighbours(beside) {
      const found = (side: 'above' | 'below') => {
        const all = side === 'above' ? chunks() : chunks().reverse();
        const step = side === 'above' ? 1 : -1;
        return beside[side].flatMap((chunk_index): Neighbour[] => {
          const beyond = all.filter((one) => (one.chunkIndex - chunk_index) * step > 0);
          if (beyond[0]?.chunkIndex === chunk_index + step) return [];
          const timed = beyond.find((one) => Number.isFinite(one.timeMin));
          return [
            {
              chunk_index,
              neighbour_index: beyond[0]?.chunkIndex ?? null,
              time_min: timed?.timeMin ?? null,
              time_max: timed?.timeMax ?? null,
            },
          ];
        });
      };
      return { above: found('above'), below: found('below') };
    },
  };
}

const readingsOf = (series: (number | null)[]) => Float64Array.from(series, (one) => one ?? Number.NaN);
const packer = createPacker();

/** A series as it comes from a row: packed where that is wanted and possible. */
export function asStored(series: (number | null)[], isToBePacked: boolean): StoredSeries {
  const packed = isToBePacked ? packer.pack(readingsOf(series)) : undefined;
  const unpacked = { exponent: 0, base: 0, step: 0, ...noPieces };
  if (packed === undefined) return { pointCount: series.length, array: encodeFloat8Array(series), ...unpacked };
  const { residuals, ...line } = packed;
  const inRow = residuals.length - Math.min(2, residuals.length);
  const pieces = { residuals: residuals.subarray(0, inRow), rest: residuals.subarray(inRow) };
  return { pointCount: series.length, array: undefined, ...line, ...(residuals.length > 0 ? pieces : noPieces) };
}

const noPieces = { residuals: undefined, rest: undefined };

function spanOf(chunks: ReturnType<typeof summaryOfChunk>[]): MsRange {
  const timed = chunks.filter(({ timeMin }) => Number.isFinite(timeMin));
  if (timed.length === 0) return wholeRange;
  return {
    fromMs: msOf(Math.min(...timed.map(({ timeMin }) => timeMin))),
    toMs: msOf(Math.max(...timed.map(({ timeMax }) => timeMax))),
  };
}

/** What a selection leaves of a channel whose relative times count from 1970; an absent reading is null. */
export async function readOf(source: ChannelSource, selection: Selection, bounds: Partial<PointLimits> = {}) {
  const wanted = { selection, zeroMs: 0, collapse: byMs };
  const opened = await planChannelPoints(source, wanted, { ...pointLimits, ...bounds });
  const points: ModelPoint[] = [];
  for await (const { times, values } of opened.batches({ withValues: true })) {
    times.forEach((at, i) => {
      points.push({ ms: at + 0, value: Number.isNaN(values[i]) ? null : (values[i] as number) });
    });
  }
  const instants: number[] = [];
  for await (const { times } of opened.batches({ withValues: false })) instants.push(...times);
  if (instants.some((ms, i) => ms !== points[i]?.ms)) throw new Error('times that are read alone are others');
  return { points, gaps: opened.gaps.map(({ between, ...gap }) => gap), isDownSampled: opened.isDownSampled };
}

const summaries = new WeakMap<ModelChunk, ReturnType<typeof summarise>>();

/** The first of equal values counts; times that are not there are infinite, values NaN. */
export function summaryOfChunk(chunk: ModelChunk) {
  const summary = summaries.get(chunk) ?? summarise(chunk);
  summaries.set(chunk, summary);
  return summary;
}

function summarise({ chunk_index, timestamps, values }: ModelChunk) {
  const points = timestamps.flatMap((time, i) => (time === null ? [] : [{ time, value: values[i] ?? null }]));
  const times = points.map(({ time }) => time);
  const readings = points.filter((point): point is { time: number; value: number } => point.value !== null);
  const least = readings.toSorted((a, b) => a.value - b.value)[0];
  const greatest = readings.toSorted((a, b) => b.value - a.value)[0];
  return {
    chunkIndex: chunk_index,
    pointCount: timestamps.length,
    timeMin: Math.min(...times),
    timeMax: Math.max(...times),
    valueMin: least?.value ?? Number.NaN,
    valueMinTime: least?.time ?? Number.NaN,
    valueMax: greatest?.value ?? Number.NaN,
    valueMaxTime: greatest?.time ?? Number.NaN,
  };
}
