import type { Bench } from './bench.ts';
import { measure } from './load.ts';
import type { Target } from './target.ts';

/** Fills the channel `thickness` of a new stream. @returns the data_id of the stream */
export async function fillOneStream(
  bench: Bench,
  target: Target,
  { points, pointsPerChunk, isMix = false }: { points: number; pointsPerChunk: number; isMix?: boolean },
): Promise<string> {
  const load = await bench.loadFor(target, { format: 'chunk', points: pointsPerChunk, isMix });
  const [stream] = load.payload.streams as [string];
  // The variants were made for several streams, of which one is used. The probe sends its first chunk.
  const one = {
    ...load,
    payload: { ...load.payload, streams: [stream] },
    requestsMax: points / pointsPerChunk - 1,
  };
  await measure(target, one, bench.options);
  return stream;
}
