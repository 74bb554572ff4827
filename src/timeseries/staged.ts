import { fieldBytes } from '../lib/json-fields.ts';
import { JsonWriter, type Pieces, pieceBytes } from '../lib/json-writer.ts';
import { openChannel } from '../points/read.ts';
import { byMs } from '../points/selection.ts';
import { writeArrays } from './channel-arrays.ts';
import { StagedAnswer } from './schemas.ts';
import type { StreamRead } from './stream-read.ts';

const fields = fieldBytes(StagedAnswer.items);
const arrays = { values: fields.values, times: [{ field: fields.unix_times }] };

/**
 * The answer by channel, in the shape that REST clients know from staged uploads. It has the same points as the read by
 * property, under other names.
 */
export async function* stagedAnswer(read: StreamRead, system: string | null): Pieces {
  const writer = new JsonWriter(pieceBytes);
  writer.raw('[');
  let separator = '';
  for (const channel of read.channels) {
    const points = await openChannel(read.deps, channel, { selection: {}, zeroMs: 0, collapse: byMs });
    writer.raw(separator).bytes(fields.timeseries_id).value(String(channel.channel_id));
    writer.bytes(fields.data_id).value(read.dataId).bytes(fields.system).value(system);
    writer.bytes(fields.version).value(null).bytes(fields.name).value(channel.channel_name);
    writer.bytes(fields.unit).value(channel.units).bytes(fields.component).value(null);
    writer.bytes(fields.last_updated).value(channel.changed_at);
    separator = ',';
    try {
      yield* writeArrays(writer, points, arrays, read.timesBytesMax);
    } finally {
      points.close();
    }
    writer.raw('}');
  }
  yield writer.raw(']').take();
}
