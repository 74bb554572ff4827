import { JsonWriter, type Pieces, pieceBytes } from '../lib/json-writer.ts';
import { openChannelPoints } from './channel-points.ts';
import { Instants } from './instants.ts';
import { instantsBytesMax, timesOf } from './properties.ts';
import { boundsFor, type StreamRead } from './stream-read.ts';

/**
 * The answer by channel, as REST clients know it from staged uploads: the same points as the read by property, under other
 * names. Times are remembered while the values go out, as there.
 */
export async function* stagedAnswer(read: StreamRead, system: string | null): Pieces {
  const writer = new JsonWriter(pieceBytes);
  writer.raw('[');
  let separator = '';
  for (const channel of read.channels) {
    writer.raw(`${separator}{"timeseries_id":`).value(String(channel.channel_id));
    writer.raw(',"data_id":').value(read.dataId).raw(',"system":').value(system).raw(',"version":null,"name":');
    writer.value(channel.channel_name).raw(',"unit":').value(channel.units).raw(',"component":null,"last_updated":');
    writer.value(channel.changed_at).raw(',"values":').beginList();
    separator = ',';
    const points = await openChannelPoints(read.sourceOf(channel), {}, 0, bounds);
    const instants = new Instants(instantsBytesMax);
    for await (const { ms, values } of points.read(true)) {
      instants.add(ms);
      for (let i = 0; i < values.length; ) {
        i = writer.floats(values, i);
        if (writer.isFull) yield writer.take();
      }
    }
    writer.endList().raw(',"unix_times":').beginList();
    for await (const ms of timesOf(instants, points)) {
      for (let i = 0; i < ms.length; ) {
        i = writer.integers(ms, i);
        if (writer.isFull) yield writer.take();
      }
    }
    writer.endList().raw('}');
  }
  yield writer.raw(']').take();
}

const bounds = boundsFor(1);
