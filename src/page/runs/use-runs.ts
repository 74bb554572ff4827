import { useEffect, useRef, useState } from 'preact/hooks';
import { isPassing, repeatMs } from '../api/failure.ts';
import { readRunPage, runPageMax } from '../api/runs.ts';
import type { RunEvent, RunStatus } from '../live/protocol.ts';
import { useLineOpen, useLive } from '../live/use-live.ts';
import type { RunFilters } from '../url-state.ts';
import { afterEvent, emptyList, type LoadedRuns, withFresh, without, withPage } from './run-list.ts';

const firstPage = 100;
/** Within this time events that need a read of the server share one read. */
const lookMs = 500;

type Change = (list: LoadedRuns) => LoadedRuns;

/** The list of runs that pass the filters. `more` reads the next page, and live events keep the list up to date. */
export function useRuns(filters: RunFilters) {
  const [list, setList] = useState<LoadedRuns>(emptyList);
  // Events may come before the next render, so each continues from the list that the event before has left.
  const current = useRef(list);
  const put = (next: LoadedRuns) => {
    current.current = next;
    setList(next);
  };
  /** The next page was asked for while another read was under way, or after one that failed. */
  const wantsMore = useRef(false);
  const { error, isReading, read, isFree, keep } = useReads({
    onRead(change) {
      put(change(current.current));
      if (!wantsMore.current) return;
      wantsMore.current = false;
      readNext();
    },
    onEvent: (event) => take(event),
    onFailure: (failure) => isPassing(failure) && lookAgain(repeatMs),
  });
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const stopWaiting = () => {
    clearTimeout(timer.current);
    timer.current = undefined;
  };
  const latest = useRef(filters);
  latest.current = filters;
  /** @param isAnew true to begin with an empty list; otherwise rows after the first page stay */
  const readAll = (isAnew: boolean) => {
    stopWaiting();
    const wanted = latest.current;
    void read(isAnew, async (signal) => {
      const fresh = await readFresh(wanted, signal);
      return (before) => fresh(isAnew ? emptyList : before);
    });
  };
  const readNext = () => {
    const { cursor } = current.current;
    if (typeof cursor === 'string') void read(true, (signal) => readPageAfter(latest.current, cursor, signal));
  };
  const lookAgain = (ms: number) => {
    timer.current ??= setTimeout(() => {
      stopWaiting();
      if (isFree()) readAll(false);
      else lookAgain(lookMs);
    }, ms);
  };
  /** By run that a read was to bring into the list: the status it had. One that does not pass the filters is not read again. */
  const sought = useRef(new Map<string, RunStatus>());
  const take = (event: RunEvent) => {
    const { list: next, isKnown, isStale } = afterEvent(current.current, event);
    put(next);
    const isSought = !isKnown && sought.current.get(event.data_id) === event.status;
    if (isKnown) sought.current.delete(event.data_id);
    else sought.current.set(event.data_id, event.status);
    if (isStale && !isSought) lookAgain(lookMs);
  };

  useEffect(() => {
    sought.current.clear();
    wantsMore.current = false;
    readAll(true);
    return stopWaiting;
  }, [JSON.stringify(filters)]);
  // No event tells of runs that were deleted before the connection began.
  useLineOpen(() => lookAgain(lookMs));
  useLive({ list: true }, (name, data) => {
    if (name === 'run' && !keep(data as RunEvent)) take(data as RunEvent);
  });

  return {
    ...{ list, error, isReading },
    again: () => readAll(true),
    remove: (dataIds: readonly string[]) => put(without(current.current, dataIds)),
    more() {
      if (isFree() && error === undefined) readNext();
      else wantsMore.current = true;
    },
  };
}

/** Reads the growing runs and the first page. */
async function readFresh(filters: RunFilters, signal: AbortSignal): Promise<Change> {
  const growing = { ...filters, status: 'live' as const };
  const [live, page] = await Promise.all([
    filters.status === 'ended' ? [] : readRunPage(growing, { limit: runPageMax }, signal).then(({ runs }) => runs),
    readRunPage(filters, { limit: firstPage }, signal),
  ]);
  return (list) => withFresh(list, live, page);
}

async function readPageAfter(filters: RunFilters, cursor: string, signal: AbortSignal): Promise<Change> {
  const page = await readRunPage(filters, { limit: runPageMax, cursor }, signal);
  return (list) => withPage(list, page);
}

interface ReadsOptions {
  onRead(change: Change): void;
  onEvent(event: RunEvent): void;
  onFailure(failure: unknown): void;
}

/** Reads the server, one read at a time. Events that come meanwhile are kept: its answer may be older than they are. */
function useReads({ onRead, onEvent, onFailure }: ReadsOptions) {
  const [error, setError] = useState<Error>();
  const [isReading, setReading] = useState(true);
  const underWay = useRef<{ abort: AbortController; events: RunEvent[] } | undefined>(undefined);
  useEffect(() => () => underWay.current?.abort.abort(), []);
  return {
    error,
    isReading,
    isFree: () => underWay.current === undefined,
    /** Keeps an event for the end of the read that is under way. @returns false if there is none */
    keep: (event: RunEvent) => underWay.current !== undefined && underWay.current.events.push(event) > 0,
    /** @param isShown false for a read that happens behind what is shown */
    async read(isShown: boolean, ask: (signal: AbortSignal) => Promise<Change>) {
      underWay.current?.abort.abort();
      const own = { abort: new AbortController(), events: [] as RunEvent[] };
      underWay.current = own;
      if (isShown) setReading(true);
      const answer = await ask(own.abort.signal).catch((failure: Error) => failure);
      if (own.abort.signal.aborted) return;
      underWay.current = undefined;
      setReading(false);
      const failed = answer instanceof Error;
      setError(failed ? answer : undefined);
      if (failed) onFailure(answer);
      else onRead(answer);
      own.events.forEach(onEvent);
    },
  };
}
