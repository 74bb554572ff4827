import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiFailure, isPassing, repeatMs } from '../api/failure.ts';
import { type Ledger, readLedger } from '../api/ledger.ts';
import { readLatest, readOutline } from '../api/readings.ts';
import { type DataEntry, readEntry } from '../api/runs.ts';
import type { ChannelsEvent, StatusEvent } from '../live/protocol.ts';
import { useLive } from '../live/use-live.ts';
import type { Range } from '../plot/window.ts';
import { channelFactsOf } from './channel-facts.ts';
import { followLedger, type LedgerFollower } from './follow-ledger.ts';
import { type OpenRun, runAfter } from './open-run.ts';

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
    let timer: ReturnType<typeof setTimeout> | undefined;
    loadRun(dataId).then(
      (run) => !isGone && setLoading(run === undefined ? { kind: 'unknown' } : { kind: 'open', run }),
      (error: Error) => {
        if (isGone) return;
        if (error instanceof ApiFailure && (error.status === 404 || error.status === 422))
          setLoading({ kind: 'unknown' });
        else setLoading({ kind: 'failed', error });
        if (isPassing(error)) timer = setTimeout(() => setTurn((count) => count + 1), repeatMs);
      },
    );
    return () => {
      isGone = true;
      clearTimeout(timer);
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
    again() {
      setLoading({ kind: 'loading' });
      setTurn((count) => count + 1);
    },
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

/** The ledger of all channels, once the run is open. */
function useLedger(dataId: string, isOpen: boolean) {
  const [ledger, setLedger] = useState<Ledger>();
  const follower = useRef<LedgerFollower | undefined>(undefined);
  useEffect(() => {
    setLedger(undefined);
    if (!isOpen) return;
    const made = followLedger({ read: (channels) => readLedger(dataId, channels), onLedger: setLedger });
    follower.current = made;
    return () => made.close();
  }, [dataId, isOpen]);
  return {
    ledger,
    onPicture: () => follower.current?.begin(),
    onChannels: ({ channels }: ChannelsEvent) => follower.current?.changed(channels),
  };
}
