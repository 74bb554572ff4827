import { type Connection, call } from './client.ts';
import { createProgress, type Output } from './progress.ts';
import type { MeasuredRecord } from './record.ts';

/** Points of a chunk of the demo: the hours of a day. */
const pointsPerChunk = 24;
const requestsInFlight = 8;

/**
 * Sends a record as multi-channel chunks, several at a time and so in any order. Then it closes the stream, sends the first
 * chunk once more, and compares what the server returns with what was sent, bit for bit.
 * @returns the id of the stream
 * @throws when a request is refused, or anything comes back different
 */
export async function streamRecord(connection: Connection, record: MeasuredRecord, output: Output): Promise<string> {
  const opened = { stream_name: record.name, points_per_chunk: pointsPerChunk };
  const { data_id: dataId } = await call<{ data_id: string }>(connection, '/metrology/stream/initialize', opened);
  const chunks = cut(record).map((channels, chunk_index) => ({ data_id: dataId, chunk_index, channels }));
  const send = (chunk: object) => call<Receipt[]>(connection, '/metrology/stream/chunk/multi', chunk);
  const total = record.times.length * record.channels.length;
  const startedAt = performance.now();
  const show = createProgress(output, total, (done) => {
    const perSecond = Math.round(done / ((performance.now() - startedAt) / 1_000));
    return `${count(done)} points, ${count(perSecond)} points/s`;
  });
  let done = 0;
  const waiting = [...chunks];
  const sendAll = async () => {
    for (let chunk = waiting.shift(); chunk !== undefined; chunk = waiting.shift()) {
      await send(chunk);
      for (const channel of Object.values(chunk.channels)) done += channel.values.length;
      show(done);
    }
  };
  await Promise.all(Array.from({ length: requestsInFlight }, sendAll));
  await call(connection, `/metrology/stream/${dataId}/finalize`, {});
  const again = await send(chunks[0] as object);
  for (const { channel_name, total_points } of again) {
    if (total_points !== record.times.length)
      throw new Error(`${channel_name} has ${total_points} points after a replay.`);
  }
  output.write('The first chunk was sent once more: stored once, nothing appended.\n');
  for (const channel of record.channels) await compare(connection, dataId, record.times, channel);
  output.write(`Read back: ${count(total)} points of ${record.channels.length} channels, the same bit for bit.\n`);
  return dataId;
}

interface Receipt {
  channel_name: string;
  total_points: number;
}

type Channels = Record<string, { timestamps: number[]; values: number[]; units: string }>;

function cut({ times, channels }: MeasuredRecord): Channels[] {
  return Array.from({ length: Math.ceil(times.length / pointsPerChunk) }, (_, i) => {
    const [from, to] = [i * pointsPerChunk, (i + 1) * pointsPerChunk];
    const timestamps = times.slice(from, to);
    return Object.fromEntries(
      channels.map(({ name, units, values }) => [name, { timestamps, values: values.slice(from, to), units }]),
    );
  });
}

interface Points {
  units: string | null;
  chunks: { timestamps: (number | null)[]; values: (number | null)[] }[];
}

async function compare(
  connection: Connection,
  dataId: string,
  times: number[],
  { name, units, values }: MeasuredRecord['channels'][number],
): Promise<void> {
  const path = `/metrology/${dataId}/points/?channel=${encodeURIComponent(name)}`;
  const points = await call<Points>(connection, path);
  const isSame = (sent: number[], stored: (number | null)[]) =>
    sent.length === stored.length && sent.every((value, i) => Object.is(value, stored[i]));
  const timesAreSame = isSame(
    times,
    points.chunks.flatMap(({ timestamps }) => timestamps),
  );
  const valuesAreSame = isSame(
    values,
    points.chunks.flatMap((chunk) => chunk.values),
  );
  if (!timesAreSame || !valuesAreSame || points.units !== units) throw new Error(`${name} came back different.`);
}

const count = (value: number) => value.toLocaleString('en-US');
