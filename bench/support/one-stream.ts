import type { Bench } from './bench.ts';
import { measure } from './load.ts';
import type { Target } from './target.ts';

/** Fills a channel, `thickness`, of a new stream. @returns its data_id */
export async function fillOneStream(
  bench: Bench,
  target: Target,
  { points, pointsPerChunk, isMix = false }: { points: number; pointsPerChunk: number; isMix?: boolean },
): Promise<string> {
  const load = await bench.loadFor(target, { format: 'chunk', points: pointsPerChunk, isMix });
  const [stream] = load.payload.streams as [string];
  // One stream of the variants made for several; its first chunk is the probe's.
  const one = {
    ...load,
    payload: { ...load.payload, streams: [stream] },
    requestsMax: points / pointsPerChunk - 1,
  };
  await measure(target, one, bench.options);
  return stream;
}
