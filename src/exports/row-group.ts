import type { Export, ExportedStream } from './export.ts';

/** Rows of the wide layout, all of one stream. The arrays are used again for the next ones. */
export interface WideRows {
  dataId: string;
  /** Unix seconds, ascending, none twice. */
  times: Float64Array;
  /** By channel column of the export; NaN where the channel has no reading in the row. Undefined: none at all. */
  columns: (Float64Array | undefined)[];
}

/** Rows of one stream side by side as columns, NaN where nothing has been set. */
export class RowGroup {
  readonly #dataId: string;
  /** By channel of the stream, its place among the channel columns of the export. */
  readonly #places: number[];
  readonly #columnCount: number;
  readonly #times: Float64Array;
  readonly #values: Float64Array[];
  #length = 0;

  /** @param rowsMax rows that are given out together */
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

  /** Sets a reading of the row that was begun last, of a channel by its position in the stream. */
  set(channel: number, value: number): void {
    (this.#values[channel] as Float64Array)[this.#length - 1] = value;
  }

  /** Everything that was set; valid until the next row is begun. */
  take(): WideRows {
    const length = this.#length;
    this.#length = 0;
    const columns = new Array<Float64Array | undefined>(this.#columnCount).fill(undefined);
    for (const [i, place] of this.#places.entries()) columns[place] = this.#values[i]?.subarray(0, length);
    return { dataId: this.#dataId, times: this.#times.subarray(0, length), columns };
  }
}
