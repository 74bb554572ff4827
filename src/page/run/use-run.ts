import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiFailure } from '../api/failure.ts';
import { type Ledger, type LedgerChannel, readLedger } from '../api/ledger.ts';
import { type Outline, readLatest, readOutline } from '../api/readings.ts';
import { type DataEntry, readEntry } from '../api/runs.ts';
import type { ChannelsEvent, RunStatus, StatusEvent } from '../live/protocol.ts';
import { useLive } from '../live/use-live.ts';
import { type Range, united } from '../plot/window.ts';
import { type ChannelFacts, channelFactsOf, factsAfter, isLedgerStale, ledgerAfter } from './channel-facts.ts';

/** The shortest time between two reads of the ledger. */
const ledgerMsMin = 3_000;
/** The ledger is read after the first picture. Where none comes, as when all plots are hidden, it is read after this time. */
const pictureMsMax = 5_000;

export interface OpenRun {
  entry: DataEntry;
  outline: Outline;
  status: RunStatus;
  channels: ChannelFacts[];
}

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
  const early = useRef<[string, unknown][]>([]);
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

  const take = (name: string, data: unknown) => {
    const before = current.current;
    if (before === undefined || (data as StatusEvent).data_id !== dataId) return;
    if (name === 'channels') {
      const event = data as ChannelsEvent;
      put(runAfter(before, event, onChanged));
      onChannels(event);
    } else if (name === 'status') {
      put({ ...before, status: (data as StatusEvent).status });
    }
  };
  // Events that come while the run is being opened are kept until it is open.
  useLive({ dataIds: loading.kind === 'unknown' ? [] : [dataId] }, (name, data) => {
    if (run === undefined) early.current.push([name, data]);
    else take(name, data);
  });
  const isOpen = run !== undefined;
  useEffect(() => {
    if (!isOpen) return;
    for (const [name, data] of early.current.splice(0)) take(name, data);
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

function runAfter(run: OpenRun, event: ChannelsEvent, onChanged: (channel: string, span: Range) => void): OpenRun {
  const byName = new Map(run.channels.map((channel) => [channel.name, channel]));
  let { span } = run.outline;
  for (const update of event.channels) {
    const facts = factsAfter(byName.get(update.channel_name), update);
    if (facts === undefined) continue;
    byName.set(facts.name, facts);
    if (update.span === null) continue;
    const changed = { fromMs: update.span[0], toMs: update.span[1] };
    span = united(span, changed);
    onChanged(facts.name, changed);
  }
  return { ...run, status: event.status, outline: { ...run.outline, span }, channels: [...byName.values()] };
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
  const show = (head: Omit<Ledger, 'channels'>) => setLedger({ ...head, channels: [...latest.current.values()] });

  const read = async () => {
    timer.current = undefined;
    isFirst.current = false;
    lastMs.current = Date.now();
    const names = [...stale.current];
    stale.current.clear();
    try {
      const answer = await readLedger(dataId, names.length > 50 ? [] : names);
      for (const channel of answer.channels) latest.current.set(channel.channel_name, channel);
      show(answer);
    } catch {
      for (const name of names) stale.current.add(name);
      plan(ledgerMsMin);
    }
  };
  const plan = (ms: number) => {
    timer.current ??= setTimeout(() => void read(), ms);
  };
  useEffect(() => {
    latest.current = new Map();
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
      if (latest.current.size === 0) return;
      for (const update of channels) {
        const known = latest.current.get(update.channel_name);
        if (known === undefined || isLedgerStale(known, update)) stale.current.add(update.channel_name);
        else latest.current.set(update.channel_name, ledgerAfter(known, update));
      }
      if (ledger !== undefined) show(ledger);
      if (stale.current.size > 0) plan(Math.max(0, lastMs.current + ledgerMsMin - Date.now()));
    },
  };
}
