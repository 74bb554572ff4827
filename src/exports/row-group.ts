import type { Export, ExportedStream } from './export.ts';

/** Rows of the wide layout, all of one stream. The arrays are reused for the next rows. */
export interface WideRows {
  dataId: string;
  /** Unix seconds, ascending, none twice. */
  times: Float64Array;
  /**
   * One array for each channel column of the export; NaN where the channel has no reading in the row. Undefined where the
   * stream has no such channel.
   */
  columns: (Float64Array | undefined)[];
}

/** Collects rows of one stream as columns, NaN where no reading was set. */
export class RowGroup {
  readonly #dataId: string;
  /** For each channel of the stream, its position among the channel columns of the export. */
  readonly #places: number[];
  readonly #columnCount: number;
  readonly #times: Float64Array;
  readonly #values: Float64Array[];
  #length = 0;

  /** @param rowsMax rows that it can hold */
  constructor({ columns }: Export, { data_id, channels }: ExportedStream, rowsMax: number) {
    const names = columns.flatMap(({ channel }) => (channel ? [channel.name] : []));
    const places = new Map(names.map((name, i) => [name, i]));
    this.#dataId = data_id;
    this.#places = channels.map(({ channel_name }) => places.get(channel_name) as number);
    this.#columnCount = names.length;
    this.#times = new Float64Array(rowsMax);
    this.#values = channels.map(() => new Float64Array(rowsMax));
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

  /** Sets a reading in the row that was begun last. @param channel position of the channel in the stream */
  set(channel: number, value: number): void {
    (this.#values[channel] as Float64Array)[this.#length - 1] = value;
  }

  /** Takes all rows; they are valid until the next row is begun. */
  take(): WideRows {
    const length = this.#length;
    this.#length = 0;
    const columns = new Array<Float64Array | undefined>(this.#columnCount).fill(undefined);
    for (const [i, place] of this.#places.entries()) columns[place] = this.#values[i]?.subarray(0, length);
    return { dataId: this.#dataId, times: this.#times.subarray(0, length), columns };
  }
}
