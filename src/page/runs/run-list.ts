import type { Run, RunPage } from '../api/runs.ts';
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
export function withPage(list: LoadedRuns, page: RunPage): LoadedRuns {
  const known = new Set([...list.live, ...list.others].map(({ data_id }) => data_id));
  const fresh = page.runs.filter(({ data_id }) => !known.has(data_id));
  return { ...list, others: [...list.others, ...fresh], cursor: page.next_cursor, total: page.total ?? list.total };
}

/**
 * The list after the growing runs and the first page were read again. The rows that follow the first page stay as they were.
 */
export function withFresh(list: LoadedRuns, live: Run[], page: RunPage): LoadedRuns {
  const fresh = withPage({ ...emptyList, live, total: list.total }, page);
  const last = page.runs.at(-1);
  if (page.next_cursor === null || last === undefined) return fresh;
  const here = new Set([...live, ...page.runs].map(({ data_id }) => data_id));
  const ended = list.live.map((run): Run => ({ ...run, status: run.status === 'live' ? 'interrupted' : run.status }));
  const later = [...ended, ...list.others].filter((run) => !here.has(run.data_id) && isBefore(last, run));
  if (later.length === 0) return fresh;
  later.sort((a, b) => (isBefore(a, b) ? -1 : 1));
  // The next page follows the rows that stay.
  return { ...fresh, others: [...fresh.others, ...later], cursor: list.others.length > 0 ? list.cursor : fresh.cursor };
}

/** Whether a run comes before another one in the list: newest first. */
const isBefore = (a: Run, b: Run) =>
  a.created_at > b.created_at || (a.created_at === b.created_at && a.data_id < b.data_id);

/**
 * The list after an event. `isStale` tells that a run has begun or ended, or is not in the list, so that the list must be
 * read again.
 */
export function afterEvent(
  list: LoadedRuns,
  event: RunEvent,
): { list: LoadedRuns; isKnown: boolean; isStale: boolean } {
  const { data_id: dataId, status } = event;
  const known = [...list.live, ...list.others].find((run) => run.data_id === dataId);
  const isKnown = known !== undefined;
  if (status === 'deleted') return { list: isKnown ? without(list, [dataId]) : list, isKnown, isStale: false };
  const change = (run: Run): Run =>
    run.data_id !== dataId
      ? run
      : {
          ...run,
          ...{ status, point_count: event.point_count, missing_chunk_count: event.missing_chunk_count },
          ...{ seconds: event.seconds, last_chunk_at: event.last_chunk_at ?? run.last_chunk_at },
        };
  // A list that has not changed stays the same object, so that it is not rendered again for a run that it does not show.
  if (!isKnown) return { list, isKnown, isStale: true };
  return {
    list: { ...list, live: list.live.map(change), others: list.others.map(change) },
    isKnown,
    isStale: known.status !== status,
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
