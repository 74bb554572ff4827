import { openChannels, type ReadDependencies } from '../points/read.ts';
import { byInstant } from '../points/selection.ts';
import type { Export } from './export.ts';
import { type Grid, gridRows, rangeOfRows, timeOfRow } from './grid.ts';
import { RowGroup, type WideRows } from './row-group.ts';

/**
 * The rows of a grid, stream after stream: all rows from the first to the last. A row may be empty.
 * @param rowsMax rows that are given out together
 */
export async function* readGrid(
  deps: ReadDependencies,
  exported: Export,
  grid: Grid,
  rowsMax: number,
): AsyncGenerator<WideRows, void, void> {
  const { rest } = deps.reading;
  for (const stream of exported.streams) {
    const rows = gridRows(grid, stream.channels, exported.window);
    if (rows === undefined) continue;
    const wanted = { selection: rangeOfRows(grid, rows), zeroMs: 0, collapse: byInstant };
    const read = await openChannels(deps, stream.channels, wanted);
    const group = new RowGroup(exported, stream, rowsMax);
    const filling =
      grid.fill === 'mean'
        ? new MeanFilling(stream.channels.length)
        : new PreviousFilling(stream.channels.length, grid);
    let row = rows.first;
    try {
      for await (const { times, values, channels } of read.batches({ withValues: true })) {
        for (let i = 0; i < times.length; i++) {
          const time = times[i] as number;
          while (row <= rows.last && filling.isComplete(grid, row, time)) {
            if (group.isFull) {
              yield group.take();
              await rest();
            }
            filling.write(group, timeOfRow(grid, row++));
          }
          if (row <= rows.last) filling.add(channels[i] as number, time, values[i] as number, timeOfRow(grid, row));
        }
      }
      for (; row <= rows.last; row++) {
        if (group.isFull) {
          yield group.take();
          await rest();
        }
        filling.write(group, timeOfRow(grid, row));
      }
      if (!group.isEmpty) yield group.take();
    } finally {
      read.close();
    }
  }
}

/** Computes the cells of a row from points, which come in order of time. */
interface Filling {
  /** Whether a row is complete before a point at this time (Unix seconds) is added. */
  isComplete(grid: Grid, row: number, time: number): boolean;
  /** @param rowTime time of the next row */
  add(channel: number, time: number, value: number, rowTime: number): void;
  write(group: RowGroup, rowTime: number): void;
}

/** Shows the last reading at or before the row, unless it is too old. An absent reading hides the readings before it. */
class PreviousFilling implements Filling {
  readonly #times: Float64Array;
  readonly #values: Float64Array;
  readonly #maxAge: number;

  constructor(channelCount: number, { maxAgeMs }: Grid) {
    this.#times = new Float64Array(channelCount).fill(Number.NEGATIVE_INFINITY);
    this.#values = new Float64Array(channelCount);
    this.#maxAge = maxAgeMs / 1_000;
  }

  isComplete(grid: Grid, row: number, time: number): boolean {
    return timeOfRow(grid, row) < time;
  }

  add(channel: number, time: number, value: number): void {
    this.#times[channel] = time;
    this.#values[channel] = value;
  }

  write(group: RowGroup, rowTime: number): void {
    group.begin(rowTime);
    for (let i = 0; i < this.#times.length; i++) {
      if (rowTime - (this.#times[i] as number) <= this.#maxAge) group.set(i, this.#values[i] as number);
    }
  }
}

/** Shows the mean of the readings from the row's time until the next row. */
class MeanFilling implements Filling {
  readonly #counts: Float64Array;
  /** Sums, and their rounding errors (Neumaier's summation). */
  readonly #sums: Float64Array;
  readonly #lost: Float64Array;
  /** Sums of the readings divided by 2^64, for means of readings whose sum exceeds float64. */
  readonly #smallSums: Float64Array;

  constructor(channelCount: number) {
    this.#counts = new Float64Array(channelCount);
    this.#sums = new Float64Array(channelCount);
    this.#lost = new Float64Array(channelCount);
    this.#smallSums = new Float64Array(channelCount);
  }

  isComplete(grid: Grid, row: number, time: number): boolean {
    return timeOfRow(grid, row + 1) <= time;
  }

  add(channel: number, time: number, value: number, rowTime: number): void {
    if (time < rowTime || Number.isNaN(value)) return;
    if (this.#counts[channel] === 0) {
      // The first reading is stored without adding it to 0, so that a −0 stays −0.
      this.#counts[channel] = 1;
      this.#sums[channel] = value;
      this.#lost[channel] = 0;
      this.#smallSums[channel] = value * tiny;
      return;
    }
    const sum = this.#sums[channel] as number;
    const total = sum + value;
    (this.#counts[channel] as number)++;
    this.#sums[channel] = total;
    (this.#lost[channel] as number) += Math.abs(sum) >= Math.abs(value) ? sum - total + value : value - total + sum;
    (this.#smallSums[channel] as number) += value * tiny;
  }

  write(group: RowGroup, rowTime: number): void {
    group.begin(rowTime);
    for (let i = 0; i < this.#counts.length; i++) {
      const count = this.#counts[i] as number;
      if (count > 0) group.set(i, this.#mean(i, count));
    }
    this.#counts.fill(0);
  }

  #mean(channel: number, count: number): number {
    const sum = this.#sums[channel] as number;
    const lost = this.#lost[channel] as number;
    const mean = (lost === 0 ? sum : sum + lost) / count;
    return Number.isFinite(mean) ? mean : (this.#smallSums[channel] as number) / count / tiny;
  }
}

const tiny = 2 ** -64;
