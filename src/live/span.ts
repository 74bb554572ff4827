import type { Micros } from './run-facts.ts';
import type { ChangedChannel, KnownChannel, StoredChannel } from './store.ts';

/** From and to, in Unix milliseconds, both included. */
export type Span = [fromMs: number, toMs: number];

/** The times of all that a channel holds; null where no point has a possible time. */
export function wholeSpan({ timeMin, timeMax }: Pick<StoredChannel, 'timeMin' | 'timeMax'>): Span | null {
  return toSpan([timeMin], [timeMax]);
}

/**
 * The times between which a channel has changed since it was known, or more: where that cannot be told exactly, all of its
 * times. Null where what has changed has no possible time.
 */
export function changedSpan(now: ChangedChannel, before: KnownChannel | undefined): Span | null {
  if (before === undefined) return wholeSpan(now);
  // A late chunk far below the newest ones is not among those that were looked at; nor is anything after a restore of the database.
  const isFound = now.freshCount >= now.chunkCount - before.chunkCount && now.chunkCount >= before.chunkCount;
  if (!isFound || now.changedAt < before.changedAt) return wholeSpan(now);
  const isFromNothing = now.freshMin === null && now.replacedMin === null;
  // Chunks without a possible time, or a revision that is not kept any more.
  if (isFromNothing) return now.freshCount > 0 ? null : wholeSpan(now);
  return toSpan([now.freshMin, now.replacedMin], [now.freshMax, now.replacedMax]);
}

/** The times that may have changed since a client has been told of a channel for the last time, at `cursor`. */
export function spanSince(channel: StoredChannel, cursor: Micros | undefined, commitMsMax: number): Span | null {
  // What was written before the cursor may have been committed after it.
  if (cursor !== undefined && channel.changedAt < cursor - commitMsMax * 1_000) return null;
  return wholeSpan(channel);
}

/** Of two spans, one that holds both. */
function toSpan(from: (number | null)[], to: (number | null)[]): Span | null {
  const first = Math.min(...from.filter((seconds) => seconds !== null));
  const last = Math.max(...to.filter((seconds) => seconds !== null));
  return first <= last ? [Math.floor(first * 1_000), Math.ceil(last * 1_000)] : null;
}
