import type { Micros } from './run-facts.ts';
import type { ChangedChannel, KnownChannel, StoredChannel } from './store.ts';

/** First and last Unix ms, both included. */
export type Span = [fromMs: number, toMs: number];

/** The span of all times of a channel; null where no point has a possible time. */
export function wholeSpan({ timeMin, timeMax }: Pick<StoredChannel, 'timeMin' | 'timeMax'>): Span | null {
  return toSpan([timeMin], [timeMax]);
}

/**
 * The span in which a channel has changed since it was read before, or more: where the changes are not known exactly, the
 * span of all its times. Null where no changed point has a possible time.
 */
export function changedSpan(now: ChangedChannel, before: KnownChannel | undefined): Span | null {
  if (before === undefined) return wholeSpan(now);
  // Two cases leave changes unknown: a late chunk far below the newest ones, which is outside of the chunks that were
  // looked at; and any change after a restore of the database.
  const isFound = now.freshCount >= now.chunkCount - before.chunkCount && now.chunkCount >= before.chunkCount;
  if (!isFound || now.changedAt < before.changedAt) return wholeSpan(now);
  const isFromNothing = now.freshMin === null && now.replacedMin === null;
  // The changed chunks have no possible time, or their revision has been removed.
  if (isFromNothing) return now.freshCount > 0 ? null : wholeSpan(now);
  return toSpan([now.freshMin, now.replacedMin], [now.freshMax, now.replacedMax]);
}

/** The span that may have changed since the last event that a client has read, at `cursor`. */
export function spanSince(channel: StoredChannel, cursor: Micros | undefined, commitMsMax: number): Span | null {
  // A chunk that was written before the cursor may have been committed after it.
  if (cursor !== undefined && channel.changedAt < cursor - commitMsMax * 1_000) return null;
  return wholeSpan(channel);
}

/** The smallest span that contains all given times. */
function toSpan(from: (number | null)[], to: (number | null)[]): Span | null {
  const first = Math.min(...from.filter((seconds) => seconds !== null));
  const last = Math.max(...to.filter((seconds) => seconds !== null));
  return first <= last ? [Math.floor(first * 1_000), Math.ceil(last * 1_000)] : null;
}
