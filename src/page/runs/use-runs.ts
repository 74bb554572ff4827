import { useEffect, useRef, useState } from 'preact/hooks';
import { readRunPage, runPageMax } from '../api/runs.ts';
import type { RunEvent } from '../live/protocol.ts';
import { useLineBack, useLive } from '../live/use-live.ts';
import type { RunFilters } from '../url-state.ts';
import { afterEvent, emptyList, type LoadedRuns, withLive, without, withPage } from './run-list.ts';

const firstPage = 100;
/** Within this time events that need a read of the server share one read. */
const lookMs = 500;

/** The list of runs that pass the filters. `more` reads the next page, and live events keep the list up to date. */
export function useRuns(filters: RunFilters) {
  const [list, setList] = useState<LoadedRuns>(emptyList);
  const [error, setError] = useState<Error>();
  const [isReading, setReading] = useState(true);
  const [turn, setTurn] = useState(0);
  const reading = useRef<AbortController | undefined>(undefined);
  const key = JSON.stringify(filters);

  const attempt = async (read: (signal: AbortSignal) => Promise<(list: LoadedRuns) => LoadedRuns>) => {
    const abort = new AbortController();
    reading.current = abort;
    setReading(true);
    try {
      const change = await read(abort.signal);
      if (abort.signal.aborted) return;
      setList(change);
      setError(undefined);
    } catch (failure) {
      if (!abort.signal.aborted) setError(failure as Error);
    } finally {
      if (reading.current === abort) {
        reading.current = undefined;
        setReading(false);
      }
    }
  };
  const growing = (signal?: AbortSignal) =>
    filters.status === 'ended'
      ? Promise.resolve([])
      : readRunPage({ ...filters, status: 'live' }, { limit: runPageMax }, signal).then(({ runs }) => runs);

  useEffect(() => {
    reading.current?.abort();
    void attempt(async (signal) => {
      const [live, page] = await Promise.all([growing(signal), readRunPage(filters, { limit: firstPage }, signal)]);
      return () => withPage({ ...emptyList, live }, page);
    });
  }, [key, turn]);

  const look = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const lookAgain = () => {
    look.current ??= setTimeout(async () => {
      look.current = undefined;
      const live = await growing().catch(() => undefined);
      if (live !== undefined) setList((before) => withLive(before, live));
    }, lookMs);
  };
  useEffect(() => {
    return () => {
      clearTimeout(look.current);
      look.current = undefined;
    };
  }, [key]);
  // Deletions while the connection was lost are not sent as events later, so the list is read again.
  useLineBack(() => setTurn((count) => count + 1));
  useLive({ list: true }, (name, data) => {
    if (name !== 'run') return;
    const { list: next, isStale } = afterEvent(list, data as RunEvent);
    setList((before) => afterEvent(before, data as RunEvent).list);
    if (isStale && next !== undefined) lookAgain();
  });

  return {
    list,
    error,
    isReading,
    again: () => setTurn((count) => count + 1),
    remove: (dataIds: readonly string[]) => setList((before) => without(before, dataIds)),
    more() {
      const { cursor } = list;
      if (reading.current !== undefined || typeof cursor !== 'string' || error !== undefined) return;
      void attempt(async (signal) => {
        const page = await readRunPage(filters, { limit: runPageMax, cursor }, signal);
        return (before) => withPage(before, page);
      });
    },
  };
}
