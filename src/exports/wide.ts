import { openChannels, type ReadMeans } from '../points/read.ts';
import { byInstant } from '../points/selection.ts';
import type { Export } from './export.ts';

/** Rows of the wide layout, all of one stream. The arrays are used again for the next ones. */
export interface WideRows {
  dataId: string;
  /** Unix seconds, ascending, none twice. */
  times: Float64Array;
  /** By channel column of the export; NaN where the channel has no reading at the instant. Undefined: none at all. */
  columns: (Float64Array | undefined)[];
}

/**
 * One row for each exact time at which a channel has a point, stream after stream. The times are not rounded; of several
 * points of a channel at one time the last stands, in the order of chunk index and position. Points without a possible
 * time have no row. Chunks that arrive after their stream's turn has come are not part of it.
 * @param rowsMax rows that are given out together
 */
export async function* readWide(
  means: ReadMeans,
  { streams, columns }: Export,
  rowsMax: number,
): AsyncGenerator<WideRows, void, void> {
  const names = columns.flatMap(({ channel }) => (channel ? [channel.name] : []));
  const places = new Map(names.map((name, i) => [name, i]));
  const everything = { selection: {}, zeroMs: 0, collapse: byInstant };
  for (const stream of streams) {
    const read = await openChannels(means, stream.channels, everything);
    const group = new RowGroup(stream.channels.length, rowsMax);
    const rowsOf = (): WideRows => {
      const { times, values } = group.take();
      const rows: WideRows = { dataId: stream.data_id, times, columns: names.map(() => undefined) };
      stream.channels.forEach(({ channel_name }, i) => {
        rows.columns[places.get(channel_name) as number] = values[i] as Float64Array;
      });
      return rows;
    };
    try {
      for await (const { times, values, channels } of read.batches({ withValues: true })) {
        for (let i = 0; i < times.length; i++) {
          const isNewRow = i === 0 || times[i] !== times[i - 1];
          if (isNewRow && group.isFull) yield rowsOf();
          if (isNewRow) group.begin(times[i] as number);
          group.set(channels[i] as number, values[i] as number);
        }
      }
      if (!group.isEmpty) yield rowsOf();
    } finally {
      read.close();
    }
  }
}

/** Rows side by side as columns, NaN where nothing has been set. */
class RowGroup {
  readonly #times: Float64Array;
  readonly #values: Float64Array[];
  #length = 0;

  constructor(columnCount: number, rowsMax: number) {
    this.#times = new Float64Array(rowsMax);
    this.#values = Array.from({ length: columnCount }, () => new Float64Array(rowsMax));
  }

  get isFull(): boolean {
    return this.#length === this.#times.length;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  begin(time: number): void {
    if (this.isEmpty) for (const column of this.#values) column.fill(Number.NaN);
    this.#times[this.#length++] = time;
  }

  /** Sets a reading of the row that was begun last. */
  set(column: number, value: number): void {
    (this.#values[column] as Float64Array)[this.#length - 1] = value;
  }

  /** Everything that was set; valid until the next row is begun. */
  take(): { times: Float64Array; values: Float64Array[] } {
    const length = this.#length;
    this.#length = 0;
    return { times: this.#times.subarray(0, length), values: this.#values.map((column) => column.subarray(0, length)) };
  }
}
