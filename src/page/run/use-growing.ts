import { useRef, useState } from 'preact/hooks';
import type { ChannelsEvent, StatusEvent } from '../live/protocol.ts';
import { useLive } from '../live/use-live.ts';
import type { Trace } from '../plot/board.ts';
import type { Range } from '../plot/window.ts';
import { type OpenRun, runAfter } from './open-run.ts';

interface Growing {
  runs: readonly OpenRun[];
  /** Puts a run in the place of the one with its id. */
  put(run: OpenRun): void;
}

/**
 * Keeps runs up to date by live events. Nothing is missed between their being read and the first event, since that holds
 * their whole state.
 * @param opened the runs as they were read; the same array as long as they are not read again
 * @param onChanged called when a range of a channel has changed
 * @param onChannels called with each event of channels, after the run has taken it
 */
export function useGrowing(
  opened: readonly OpenRun[],
  onChanged: (trace: Trace, span: Range) => void,
  onChannels?: (event: ChannelsEvent) => void,
): Growing {
  const [, render] = useState(opened);
  // Several events may come before the next render, so each continues from the runs that the event before has left.
  const current = useRef({ opened, runs: opened });
  if (current.current.opened !== opened) current.current = { opened, runs: opened };
  const put = (next: OpenRun) => {
    const runs = current.current.runs.map((run) => (run.entry.data_id === next.entry.data_id ? next : run));
    current.current = { opened, runs };
    render(runs);
  };
  useLive({ dataIds: opened.map(({ entry }) => entry.data_id) }, (name, data) => {
    const event = data as ChannelsEvent | StatusEvent;
    const dataId = event.data_id;
    const before = current.current.runs.find(({ entry }) => entry.data_id === dataId);
    if (before === undefined) return;
    put(runAfter(before, name, event, (channel, span) => onChanged({ dataId, channel }, span)));
    if (name === 'channels') onChannels?.(event as ChannelsEvent);
  });
  return { runs: current.current.runs, put };
}
