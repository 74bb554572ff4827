import { callApi } from '../api/client.ts';

/** Four days of hourly readings. The whole record takes some twenty seconds, slow enough to watch it grow. */
const pointsPerChunk = 96;
const pauseMs = 200;

const unitOf: Record<string, string> = { pressure: 'hPa', temperature: '°C', wind: 'm/s' };

/**
 * Opens a stream and sends the record of the demo into it, chunk by chunk, in the background.
 * @param onFailed called with the reason when sending fails
 * @returns the id of the stream, as soon as it is open
 */
export async function startDemo(onFailed: (why: string) => void): Promise<string> {
  const { hours, tenths } = await import('demo-record');
  const opened = await callApi<{ data_id: string }>('metrology/stream/initialize', {
    body: { stream_name: 'Demo: Seattle 2010', points_per_chunk: pointsPerChunk },
  });
  const timestamps = sums(hours).map((hour) => hour * 3_600);
  const channels = Object.entries(tenths).map(([name, steps]) => ({
    name,
    values: sums(steps).map((tenth) => tenth / 10),
  }));
  const send = async () => {
    for (let from = 0, index = 0; from < timestamps.length; from += pointsPerChunk, index++) {
      const to = from + pointsPerChunk;
      const body = {
        data_id: opened.data_id,
        chunk_index: index,
        channels: Object.fromEntries(
          channels.map(({ name, values }) => [
            name,
            { timestamps: timestamps.slice(from, to), values: values.slice(from, to), units: unitOf[name] ?? null },
          ]),
        ),
      };
      await callApi('metrology/stream/chunk/multi', { body });
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    await callApi(`metrology/stream/${opened.data_id}/finalize`, { body: {} });
  };
  send().catch((error: Error) => onFailed(error.message));
  return opened.data_id;
}

/** Running sums. They undo the differences that the build has stored. */
function sums(steps: readonly number[]): number[] {
  let sum = 0;
  return steps.map((step) => {
    sum += step;
    return sum;
  });
}
