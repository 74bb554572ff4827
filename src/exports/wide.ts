import type { Database } from '../database/database.ts';
import { planByTime } from '../timeseries/plan-store.ts';
import { chunkReader } from '../timeseries/store.ts';
import { boundsFor } from '../timeseries/stream-read.ts';
import { wholeRange } from '../timeseries/time.ts';
import type { Export, ExportedStream } from './export.ts';
import type { Instants } from './instant-buffer.ts';
import { readInstants } from './instants.ts';

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
 */
export async function* readWide(
  database: Database,
  organizationId: string,
  { streams, columns }: Export,
  rowsMax: number,
): AsyncGenerator<WideRows, void, void> {
  const names = columns.flatMap(({ channel }) => (channel ? [channel.name] : []));
  const places = new Map(names.map((name, i) => [name, i]));
  for (const stream of streams) {
    const readers = await openReaders(database, organizationId, stream);
    const values = readers.map(() => new Float64Array(rowsMax));
    const rows: WideRows = { dataId: stream.data_id, times: new Float64Array(0), columns: names.map(() => undefined) };
    for await (const times of joinByTime(readers, values, rowsMax)) {
      rows.times = times;
      stream.channels.forEach(({ channel_name }, lane) => {
        rows.columns[places.get(channel_name) as number] = values[lane]?.subarray(0, times.length);
      });
      yield rows;
    }
  }
}

type Reader = AsyncGenerator<Instants, void, void>;

async function openReaders(database: Database, organizationId: string, stream: ExportedStream): Promise<Reader[]> {
  const bounds = boundsFor(Math.max(1, stream.channels.length));
  const readers: Reader[] = [];
  for (const { channel_id: channelId } of stream.channels) {
    const address = { dataId: stream.data_id, channelId };
    const plan = await planByTime(database, organizationId, address, wholeRange);
    readers.push(readInstants({ plan, fetch: chunkReader(database, organizationId, address) }, bounds));
  }
  return readers;
}

const nothing: Instants = { times: new Float64Array(0), values: new Float64Array(0) };

/**
 * Writes the channels side by side into `values` and gives the times of the rows that are there, at most `rowsMax` at a
 * time. A row looks at every channel: with the few hundred that there can be, that is cheaper than a heap.
 */
async function* joinByTime(
  readers: Reader[],
  values: Float64Array[],
  rowsMax: number,
): AsyncGenerator<Float64Array, void, void> {
  const times = new Float64Array(rowsMax);
  const fronts = new Float64Array(readers.length);
  const batches = readers.map(() => nothing);
  const at = new Uint32Array(readers.length);
  let used = readers.map((_, lane) => lane);
  let row = 0;
  const begin = () => {
    row = 0;
    for (const column of values) column.fill(Number.NaN);
  };
  begin();
  for (;;) {
    for (const lane of used) {
      const { value: batch = nothing } = await (readers[lane] as Reader).next();
      batches[lane] = batch;
      fronts[lane] = batch.times[0] ?? Number.POSITIVE_INFINITY;
      at[lane] = 0;
    }
    used = [];
    while (used.length === 0) {
      const time = earliest(fronts);
      if (time === Number.POSITIVE_INFINITY) {
        if (row > 0) yield times.subarray(0, row);
        return;
      }
      times[row] = time;
      for (let lane = 0; lane < fronts.length; lane++) {
        if (fronts[lane] !== time) continue;
        const batch = batches[lane] as Instants;
        const place = at[lane] as number;
        (values[lane] as Float64Array)[row] = batch.values[place] as number;
        at[lane] = place + 1;
        if (place + 1 === batch.times.length) used.push(lane);
        else fronts[lane] = batch.times[place + 1] as number;
      }
      if (++row === rowsMax) {
        yield times;
        begin();
      }
    }
  }
}

function earliest(fronts: Float64Array): number {
  let time = Number.POSITIVE_INFINITY;
  for (let lane = 0; lane < fronts.length; lane++) {
    const front = fronts[lane] as number;
    if (front < time) time = front;
  }
  return time;
}
