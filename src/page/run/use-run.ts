import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ApiFailure } from '../api/failure.ts';
import { type Ledger, readLedger } from '../api/ledger.ts';
import { readLatest, readOutline } from '../api/readings.ts';
import { type DataEntry, readEntry } from '../api/runs.ts';
import { useLoaded } from '../lib/hooks.ts';
import type { ChannelsEvent } from '../live/protocol.ts';
import type { Trace } from '../plot/board.ts';
import type { Range } from '../plot/window.ts';
import { channelFactsOf } from './channel-facts.ts';
import { followLedger, type LedgerFollower } from './follow-ledger.ts';
import type { OpenRun } from './open-run.ts';
import { useGrowing } from './use-growing.ts';

export type RunLoading =
  | { kind: 'loading' }
  | { kind: 'unknown' }
  | { kind: 'failed'; error: Error }
  | { kind: 'open'; run: OpenRun };

/**
 * Opens a run and keeps it up to date by live events.
 * @param onChanged called when a range of a channel has changed
 */
export function useRun(dataId: string, onChanged: (trace: Trace, span: Range) => void) {
  const { value, error, again } = useLoaded(() => loadRun(dataId), [dataId]);
  const opened = useMemo(() => (value ? [value] : []), [value]);
  const { ledger, onChannels, onPicture } = useLedger(dataId, opened.length > 0);
  const { runs, put } = useGrowing(opened, onChanged, onChannels);
  const [run] = runs;
  return {
    loading: loadingOf(run, value, error),
    ledger,
    /** To be called when the picture is drawn. */
    onPicture,
    again,
    setEntry(entry: DataEntry) {
      if (run !== undefined) put({ ...run, entry });
    },
  };
}

function loadingOf(run: OpenRun | undefined, read: OpenRun | null | undefined, error: Error | undefined): RunLoading {
  if (run !== undefined) return { kind: 'open', run };
  if (read === null) return { kind: 'unknown' };
  return error === undefined ? { kind: 'loading' } : { kind: 'failed', error };
}

/** @returns null when there is no such run */
export async function loadRun(dataId: string): Promise<OpenRun | null> {
  const asked = readLatest(dataId);
  try {
    const [entry, latest, outline] = await Promise.all([readEntry(dataId), asked, readOutline(dataId, asked)]);
    if (entry === undefined) return null;
    return { entry, outline, status: latest.status, channels: latest.channels.map(channelFactsOf) };
  } catch (error) {
    // 422 is the answer to what is no id.
    if (error instanceof ApiFailure && (error.status === 404 || error.status === 422)) return null;
    throw error;
  }
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
