import type { Run } from '../api/runs.ts';
import type { RunEvent } from '../live/protocol.ts';

/** The part of the list that has been read: growing runs first, then the others, each newest first. */
export interface LoadedRuns {
  live: Run[];
  others: Run[];
  /** All runs, growing ones included, as the server counts; null when it does not. */
  total: number | null;
  /** Where the next page begins: undefined before the first page, null after the last. */
  cursor: string | null | undefined;
}

export const emptyList: LoadedRuns = { live: [], others: [], total: null, cursor: undefined };

/** The list with one more page. Runs that are listed already, such as growing ones, are not added again. */
export function withPage(
  list: LoadedRuns,
  page: { runs: Run[]; next_cursor: string | null; total: number | null },
): LoadedRuns {
  const known = new Set([...list.live, ...list.others].map(({ data_id }) => data_id));
  const fresh = page.runs.filter(({ data_id }) => !known.has(data_id));
  return { ...list, others: [...list.others, ...fresh], cursor: page.next_cursor, total: page.total ?? list.total };
}

/** The list after the growing runs were read again. A run that has ended moves to the others. */
export function withLive(list: LoadedRuns, live: Run[]): LoadedRuns {
  const growing = new Set(live.map(({ data_id }) => data_id));
  const ended = list.live
    .filter(({ data_id }) => !growing.has(data_id))
    .map((run): Run => ({ ...run, status: statusAfter(run) }));
  const others = [...list.others.filter(({ data_id }) => !growing.has(data_id)), ...ended];
  others.sort((a, b) => (a.created_at < b.created_at ? 1 : a.created_at > b.created_at ? -1 : 0));
  return { ...list, live, others };
}

const statusAfter = ({ status }: Run) => (status === 'live' ? 'interrupted' : status);

/** The list after an event. `isStale` tells that a run has begun or ended, so that the growing runs must be read again. */
export function afterEvent(list: LoadedRuns, event: RunEvent): { list: LoadedRuns; isStale: boolean } {
  const change = (run: Run): Run =>
    run.data_id !== event.data_id
      ? run
      : {
          ...run,
          point_count: event.point_count,
          last_chunk_at: event.last_chunk_at ?? run.last_chunk_at,
          missing_chunk_count: event.missing_chunk_count,
          status: event.status === 'deleted' ? run.status : event.status,
        };
  if (event.status === 'deleted') return { list: without(list, [event.data_id]), isStale: false };
  const isGrowing = list.live.some(({ data_id }) => data_id === event.data_id);
  const isStale = isGrowing !== (event.status === 'live');
  const isOther = list.others.some(({ data_id }) => data_id === event.data_id);
  return {
    list: { ...list, live: list.live.map(change), others: isOther ? list.others.map(change) : list.others },
    isStale,
  };
}

export function without(list: LoadedRuns, dataIds: readonly string[]): LoadedRuns {
  const gone = new Set(dataIds);
  const rest = (runs: Run[]) => runs.filter(({ data_id }) => !gone.has(data_id));
  const [live, others] = [rest(list.live), rest(list.others)];
  const count = list.live.length + list.others.length - live.length - others.length;
  return { ...list, live, others, total: list.total === null ? null : Math.max(0, list.total - count) };
}

/** The number of rows when all pages are read; an estimate until then. */
export function rowCount({ live, others, total, cursor }: LoadedRuns): number {
  const here = live.length + others.length;
  if (cursor === null) return here;
  return Math.max(total ?? 0, here + 50);
}

/** The range of rows that a scrolled list must render, with a margin above and below the screen. */
export function rowsInView(scrolledPixels: number, viewPixels: number, rowPixels: number, count: number) {
  const margin = 8;
  const first = Math.max(0, Math.min(count, Math.floor(scrolledPixels / rowPixels) - margin));
  const last = Math.min(count, Math.ceil((scrolledPixels + viewPixels) / rowPixels) + margin);
  return { first, last: Math.max(first, last) };
}
