import { type Facts, matcherOf } from './facts.ts';
import type { JournalEntry, JournalQuery } from './wire.ts';

/** The record of a request, from its arrival on. */
export interface JournalRecord {
  entry: JournalEntry;
  facts: Facts;
  /** Bytes of its body as it was sent. */
  bytes: number;
}

/** The requests that have arrived, in order and within bounds. */
export interface Journal {
  /** Gives an arrived request its number. It becomes visible with `show`. */
  begin(record: JournalRecord): void;
  /**
   * Makes a request visible once its body was read, or if it has none. Further calls have no effect, nor do calls after a
   * `clear`.
   */
  show(record: JournalRecord): void;
  find(query: JournalQuery): JournalEntry[];
  /** Resolves when `query.count` requests match, when `waitMs` are over, or when the signal is aborted. */
  wait(query: JournalQuery, waitMs: number, signal: AbortSignal): Promise<void>;
  dropped(): number;
  clear(): void;
}

interface Bounds {
  requestsMax: number;
  bytesMax: number;
}

export function createJournal({ requestsMax, bytesMax }: Bounds): Journal {
  let records: JournalRecord[] = [];
  let bytes = 0;
  let arrived = 0;
  const hidden = new Set<JournalRecord>();
  let dropped = 0;
  const waiting = new Set<() => void>();
  const find = (query: JournalQuery) => {
    const fits = filterOf(query);
    return records.filter(fits).map(({ entry }) => entry);
  };
  return {
    begin(record) {
      record.entry.number = ++arrived;
      hidden.add(record);
    },
    show(record) {
      if (!hidden.delete(record)) return;
      // A body that arrives slowly is complete only after those of later requests.
      let place = records.length;
      while (place > 0 && (records[place - 1] as JournalRecord).entry.number > record.entry.number) place--;
      records.splice(place, 0, record);
      bytes += record.bytes;
      while (records.length > requestsMax || bytes > bytesMax) {
        bytes -= records.shift()?.bytes ?? 0;
        dropped++;
      }
      for (const look of waiting) look();
    },
    find,
    wait(query, waitMs, signal) {
      const wanted = query.count ?? 0;
      return new Promise((resolve) => {
        const end = () => {
          clearTimeout(timer);
          waiting.delete(look);
          signal.removeEventListener('abort', end);
          resolve();
        };
        const look = () => {
          if (find(query).length >= wanted) end();
        };
        const timer = setTimeout(end, waitMs);
        waiting.add(look);
        signal.addEventListener('abort', end);
        if (signal.aborted) end();
        else look();
      });
    },
    dropped: () => dropped,
    clear() {
      records = [];
      hidden.clear();
      [bytes, arrived, dropped] = [0, 0, 0];
    },
  };
}

function filterOf(query: JournalQuery): (record: JournalRecord) => boolean {
  const fits = matcherOf(query);
  const { status, faulty, after = 0 } = query;
  return ({ entry, facts }) =>
    entry.number > after &&
    (status === undefined || entry.status === status) &&
    (faulty === undefined || (entry.fault !== null) === faulty) &&
    fits(facts);
}
