import { JsonWriter, type Pieces, pieceBytes } from '../lib/json-writer.ts';
import { openChannel } from '../points/read.ts';
import { byMs } from '../points/selection.ts';
import { writeArrays } from './channel-arrays.ts';
import type { StreamRead } from './stream-read.ts';

/**
 * The answer by channel, as REST clients know it from staged uploads: the same points as the read by property, under other
 * names.
 */
export async function* stagedAnswer(read: StreamRead, system: string | null): Pieces {
  const writer = new JsonWriter(pieceBytes);
  writer.raw('[');
  let separator = '';
  for (const channel of read.channels) {
    const points = await openChannel(read.deps, channel, { selection: {}, zeroMs: 0, collapse: byMs });
    writer.raw(`${separator}{"timeseries_id":`).value(String(channel.channel_id));
    writer.raw(',"data_id":').value(read.dataId).raw(',"system":').value(system).raw(',"version":null,"name":');
    writer.value(channel.channel_name).raw(',"unit":').value(channel.units).raw(',"component":null,"last_updated":');
    writer.value(channel.changed_at).raw(',');
    separator = ',';
    try {
      yield* writeArrays(writer, points, [{ name: 'unix_times' }], read.timesBytesMax);
    } finally {
      points.close();
    }
    writer.raw('}');
  }
  yield writer.raw(']').take();
}
