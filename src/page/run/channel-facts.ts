import type { LedgerChannel } from '../api/ledger.ts';
import type { LatestChannel } from '../api/readings.ts';
import type { LiveChannel, Reading } from '../live/protocol.ts';
import type { Mark } from '../plot/honesty.ts';

/** What the page knows of a channel, without its points. */
export interface ChannelFacts {
  name: string;
  units: string | null;
  latest: Reading;
  pointCount: number;
  chunkCount: number;
  /** When a chunk was last stored or replaced. */
  changedAt: string;
}

export const factsOf = (channel: LatestChannel): ChannelFacts => ({
  name: channel.channel_name,
  units: channel.units,
  latest: { timestamp: channel.timestamp, value: channel.value },
  pointCount: channel.point_count,
  chunkCount: channel.chunk_count,
  changedAt: channel.changed_at,
});

/** The facts after an event. @returns undefined if nothing has changed, as in the first event of a connection */
export function factsAfter(facts: ChannelFacts | undefined, event: LiveChannel): ChannelFacts | undefined {
  const isKnown =
    facts !== undefined &&
    facts.changedAt === event.changed_at &&
    facts.pointCount === event.point_count &&
    facts.chunkCount === event.chunk_count;
  if (isKnown) return undefined;
  return {
    name: event.channel_name,
    units: event.units,
    latest: event.latest ?? facts?.latest ?? { timestamp: null, value: null },
    pointCount: event.point_count,
    chunkCount: event.chunk_count,
    changedAt: event.changed_at,
  };
}

/**
 * Whether the ledger of a channel must be read again after an event. Chunks that only follow each other at the end need no
 * read: `ledgerAfter` adds them.
 */
export function isLedgerStale(ledger: LedgerChannel | undefined, event: LiveChannel): boolean {
  if (ledger === undefined) return true;
  const holes = event.last_chunk_index + 1 - event.chunk_count;
  const isReplaced = event.chunk_count === ledger.chunk_count;
  return holes !== ledger.missing_count + ledger.skipped_count || isReplaced;
}

/** The ledger of a channel that has only got more chunks at its end. */
export function ledgerAfter(ledger: LedgerChannel, event: LiveChannel): LedgerChannel {
  const present = ledger.present.map((range): [number, number] => [...range]);
  const last = present.at(-1);
  if (last !== undefined) last[1] = event.last_chunk_index;
  return {
    ...ledger,
    present,
    chunk_count: event.chunk_count,
    highest_chunk_index: event.last_chunk_index,
    point_count: event.point_count,
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
