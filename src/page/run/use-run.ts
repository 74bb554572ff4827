import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiFailure } from '../api/failure.ts';
import { type Ledger, type LedgerChannel, readLedger } from '../api/ledger.ts';
import { readLatest, readOutline } from '../api/readings.ts';
import { type DataEntry, readEntry } from '../api/runs.ts';
import type { ChannelsEvent, LiveChannel, StatusEvent } from '../live/protocol.ts';
import { useLive } from '../live/use-live.ts';
import type { Range } from '../plot/window.ts';
import { channelFactsOf, isLedgerStale, ledgerAfter } from './channel-facts.ts';
import { type OpenRun, runAfter } from './open-run.ts';

/** The shortest time between two reads of the ledger. */
const ledgerMsMin = 3_000;
/** The ledger is read after the first picture. Where none comes, as when all plots are hidden, it is read after this time. */
const pictureMsMax = 5_000;

export type RunLoading =
  | { kind: 'loading' }
  | { kind: 'unknown' }
  | { kind: 'failed'; error: Error }
  | { kind: 'open'; run: OpenRun };

/**
 * Opens a run and keeps it up to date by live events.
 * @param onChanged called when a range of a channel has changed
 */
export function useRun(dataId: string, onChanged: (channel: string, span: Range) => void) {
  const [loading, setLoading] = useState<RunLoading>({ kind: 'loading' });
  const [turn, setTurn] = useState(0);
  const waiting = useRef<[string, ChannelsEvent | StatusEvent][]>([]);
  useEffect(() => {
    let isGone = false;
    setLoading({ kind: 'loading' });
    loadRun(dataId).then(
      (run) => !isGone && setLoading(run === undefined ? { kind: 'unknown' } : { kind: 'open', run }),
      (error: Error) => {
        if (isGone) return;
        if (error instanceof ApiFailure && (error.status === 404 || error.status === 422))
          setLoading({ kind: 'unknown' });
        else setLoading({ kind: 'failed', error });
      },
    );
    return () => {
      isGone = true;
    };
  }, [dataId, turn]);
  const run = loading.kind === 'open' ? loading.run : undefined;
  // Several events may come before the next render, so each continues from the run that the event before has left.
  const current = useRef(run);
  current.current = run;
  const put = (next: OpenRun) => {
    current.current = next;
    setLoading({ kind: 'open', run: next });
  };
  const { ledger, onChannels, onPicture } = useLedger(dataId, run !== undefined);

  // Events are taken in the order in which they came. Those that come while the run is being opened wait until it is open.
  const takeAll = () => {
    for (const [name, data] of waiting.current.splice(0)) {
      const before = current.current;
      if (before === undefined || data.data_id !== dataId) continue;
      put(runAfter(before, name, data, onChanged));
      if (name === 'channels') onChannels(data as ChannelsEvent);
    }
  };
  useLive({ dataIds: loading.kind === 'unknown' ? [] : [dataId] }, (name, data) => {
    waiting.current.push([name, data as ChannelsEvent | StatusEvent]);
    if (current.current !== undefined) takeAll();
  });
  const isOpen = run !== undefined;
  useEffect(() => {
    if (isOpen) takeAll();
  }, [isOpen]);

  return {
    loading,
    ledger,
    /** To be called when the picture is drawn. */
    onPicture,
    again: () => setTurn((count) => count + 1),
    setEntry(entry: DataEntry) {
      if (current.current !== undefined) put({ ...current.current, entry });
    },
  };
}

/** @returns undefined when there is no such run */
export async function loadRun(dataId: string): Promise<OpenRun | undefined> {
  const asked = readLatest(dataId);
  const [entry, latest, outline] = await Promise.all([readEntry(dataId), asked, readOutline(dataId, asked)]);
  if (entry === undefined) return undefined;
  return { entry, outline, status: latest.status, channels: latest.channels.map(channelFactsOf) };
}

/**
 * The ledger of all channels. It is read after the first picture; later only channels are read again whose events report
 * more than new chunks at the end (`isLedgerStale`).
 */
function useLedger(dataId: string, isOpen: boolean) {
  const [ledger, setLedger] = useState<Ledger>();
  const latest = useRef<Map<string, LedgerChannel>>(new Map());
  const stale = useRef(new Set<string>());
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const lastMs = useRef(0);
  const isFirst = useRef(true);
  const hasRead = useRef(false);
  /** Changes that have come while the ledger is being read. Its answer may be older than they are. */
  const meanwhile = useRef<LiveChannel[] | undefined>(undefined);
  const show = (head: Omit<Ledger, 'channels'>) => setLedger({ ...head, channels: [...latest.current.values()] });

  const read = async () => {
    timer.current = undefined;
    isFirst.current = false;
    lastMs.current = Date.now();
    const names = [...stale.current];
    stale.current.clear();
    meanwhile.current = [];
    const answer = await readLedger(dataId, names.length > 50 ? [] : names).catch(() => undefined);
    const changes = meanwhile.current;
    meanwhile.current = undefined;
    if (answer === undefined) {
      for (const name of names) stale.current.add(name);
      plan(ledgerMsMin);
    } else {
      hasRead.current = true;
      for (const channel of answer.channels) latest.current.set(channel.channel_name, channel);
    }
    follow(changes);
    if (answer !== undefined) show(answer);
  };
  const plan = (ms: number) => {
    timer.current ??= setTimeout(() => void read(), ms);
  };
  /** Takes changes into the ledger, and plans a read of the channels whose changes say too little. */
  const follow = (changes: readonly LiveChannel[]) => {
    if (!hasRead.current) return;
    for (const update of changes) {
      const known = latest.current.get(update.channel_name);
      if (known === undefined || isLedgerStale(known, update)) stale.current.add(update.channel_name);
      else latest.current.set(update.channel_name, ledgerAfter(known, update));
    }
    if (stale.current.size > 0) plan(Math.max(0, lastMs.current + ledgerMsMin - Date.now()));
  };
  useEffect(() => {
    latest.current = new Map();
    hasRead.current = false;
    setLedger(undefined);
    isFirst.current = true;
    if (isOpen) plan(pictureMsMax);
    return () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    };
  }, [dataId, isOpen]);

  return {
    ledger,
    onPicture() {
      if (!isFirst.current) return;
      isFirst.current = false;
      clearTimeout(timer.current);
      timer.current = undefined;
      plan(0);
    },
    onChannels({ channels }: ChannelsEvent) {
      if (meanwhile.current !== undefined) {
        meanwhile.current.push(...channels);
        return;
      }
      follow(channels);
      if (ledger !== undefined) show(ledger);
    },
  };
}
