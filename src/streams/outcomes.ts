import { ApiError } from '../errors.ts';
import type { IngestItem, PlacedRow } from './ingest-rows.ts';

export type ChunkOutcome = 'created' | 'unchanged' | 'replaced';

export interface Stored {
  outcome: ChunkOutcome;
  /** Points that are now stored for the channel. */
  totalPoints: number;
}

/** By channel name. */
export type IngestResult = Map<string, Stored>;

/** Groups the outcomes of rows by their requests. */
export function byRequest(stored: readonly (PlacedRow & Stored)[]): Map<IngestItem, IngestResult> {
  const results = new Map<IngestItem, IngestResult>();
  for (const { item, channelName, outcome, totalPoints } of stored) {
    const result = results.get(item);
    if (result === undefined) results.set(item, new Map([[channelName, { outcome, totalPoints }]]));
    else result.set(channelName, { outcome, totalPoints });
  }
  return results;
}

const quoted = (channelNames: readonly string[]) => channelNames.map((name) => `"${name}"`).join(', ');

export function closedError(channelNames: readonly string[]): ApiError {
  return new ApiError(
    'conflict',
    `The stream is finalized and the grace for late chunks is over (FINALIZE_GRACE_SECONDS); ` +
      `nothing was stored of channel ${quoted(channelNames)}.`,
  );
}

export function overtakenError(channelNames: readonly string[]): ApiError {
  return new ApiError(
    'conflict',
    `While the database was away, other content was stored for this chunk of channel ${quoted(channelNames)}; ` +
      'nothing of this request was stored.',
  );
}
