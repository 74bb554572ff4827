import { ApiError } from '../errors.ts';
import type { IngestItem, KnownRow } from './ingest-rows.ts';

export type ChunkOutcome = 'created' | 'unchanged' | 'replaced';

export interface Stored {
  outcome: ChunkOutcome;
  /** Points that are now stored for the channel. */
  totalPoints: number;
}

/** By channel name. */
export type IngestResult = Map<string, Stored>;

/**
 * The outcome of an item that a flush could not settle: it is to be retried. `held` says that others are in its way: a
 * session that keeps a lock, writers that were faster each time, or a finalize whose grace ended meanwhile. Or, in a
 * cluster, their node is away. Retrying finds out; the items of other channels go on.
 */
export class TryAgain {
  readonly why: 'away' | 'held';
  readonly cause: Error;
  /** The item may have been stored, or a session whose connection was lost may still store it. */
  readonly isInDoubt: boolean;

  constructor(why: 'away' | 'held', cause: Error, isInDoubt = false) {
    this.why = why;
    this.cause = cause;
    this.isInDoubt = isInDoubt;
  }
}

/** Groups the outcomes of rows by their requests. */
export function byRequest(stored: readonly (KnownRow & Stored)[]): Map<IngestItem, IngestResult> {
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
