import type { LedgerChannel } from '../api/ledger.ts';
import type { LatestChannel } from '../api/readings.ts';
import type { LatestReading, LiveChannel } from '../live/protocol.ts';
import type { Mark } from '../plot/honesty.ts';

/** What the page knows of a channel, without its points. */
export interface ChannelFacts {
  name: string;
  units: string | null;
  latest: LatestReading;
  pointCount: number;
  chunkCount: number;
  /** When a chunk was last stored or replaced. */
  changedAt: string;
}

export const channelFactsOf = (channel: LatestChannel): ChannelFacts => ({
  name: channel.channel_name,
  units: channel.units,
  latest: { timestamp: channel.timestamp, value: channel.value },
  pointCount: channel.point_count,
  chunkCount: channel.chunk_count,
  changedAt: channel.changed_at,
});

/** The facts after an event. @returns undefined if nothing has changed, as in the first event of a connection */
export function factsAfter(facts: ChannelFacts | undefined, update: LiveChannel): ChannelFacts | undefined {
  const isKnown =
    facts !== undefined &&
    facts.changedAt === update.changed_at &&
    facts.pointCount === update.point_count &&
    facts.chunkCount === update.chunk_count;
  if (isKnown) return undefined;
  return {
    name: update.channel_name,
    units: update.units,
    latest: update.latest ?? { timestamp: null, value: null },
    pointCount: update.point_count,
    chunkCount: update.chunk_count,
    changedAt: update.changed_at,
  };
}

/**
 * Whether the ledger of a channel must be read again after an event. Chunks that only follow each other at the end need no
 * read: `ledgerAfter` adds them.
 */
export function isLedgerStale(ledger: LedgerChannel | undefined, update: LiveChannel): boolean {
  if (ledger === undefined) return true;
  const holes = update.last_chunk_index + 1 - update.chunk_count;
  const isReplaced = update.chunk_count === ledger.chunk_count;
  return holes !== ledger.missing_count + ledger.skipped_count || isReplaced;
}

/** The ledger of a channel that has only got more chunks at its end. */
export function ledgerAfter(ledger: LedgerChannel, update: LiveChannel): LedgerChannel {
  const present = ledger.present.map((range): [number, number] => [...range]);
  const last = present.at(-1);
  if (last !== undefined) last[1] = update.last_chunk_index;
  return {
    ...ledger,
    present,
    chunk_count: update.chunk_count,
    highest_chunk_index: update.last_chunk_index,
    point_count: update.point_count,
  };
}

/** The marks in the plot of a channel: its replaced and its late chunks. */
export function marksOf(ledger: LedgerChannel | undefined): Mark[] {
  const marks = (kind: Mark['kind'], chunks: LedgerChannel['replaced'] = []) =>
    chunks.flatMap(({ from_chunk, to_chunk, time_min, time_max }) =>
      time_min === null || time_max === null
        ? []
        : [{ kind, chunks: to_chunk - from_chunk + 1, fromMs: time_min * 1_000, toMs: time_max * 1_000 }],
    );
  return [...marks('replaced', ledger?.replaced), ...marks('late', ledger?.late)];
}
