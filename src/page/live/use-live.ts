import { useEffect, useRef, useState } from 'preact/hooks';
import { base, whenSignedOut } from '../api/client.ts';
import { openFeed, type TabFeed } from './feed.ts';
import type { LineState } from './protocol.ts';

/*
 * One feed for the tab. The view that is shown says what it wants to be told; another view wants something else.
 */

type OnEvent = (name: string, data: unknown) => void;

let feed: TabFeed | undefined;
let listener: OnEvent = () => {};
let line: LineState = { kind: 'connecting' };
const watchers = new Set<(state: LineState) => void>();
let signedOut = () => {};

/** @param callBack when the session is over, whoever finds it out first */
export function onSignedOut(callBack: () => void): void {
  signedOut = callBack;
  whenSignedOut(callBack);
}

function tellLine(state: LineState): void {
  line = state;
  for (const watcher of watchers) watcher(state);
}

function theFeed(): TabFeed {
  feed ??= openFeed({
    base,
    onEvent: (name, data) => listener(name, JSON.parse(data)),
    onLine(state) {
      tellLine(state);
      if (state.kind === 'signed-out') signedOut();
    },
  });
  return feed;
}

/** Events of some runs, or of the list, while the view is there. */
export function useLive(
  { dataIds = [], list = false }: { dataIds?: readonly string[]; list?: boolean },
  onEvent: OnEvent,
): void {
  const latest = useRef(onEvent);
  latest.current = onEvent;
  const ids = dataIds.join(' ');
  useEffect(() => {
    const tell: OnEvent = (name, data) => latest.current(name, data);
    listener = tell;
    // What was said of lines that nobody wants any more says nothing of this view.
    tellLine({ kind: 'connecting' });
    theFeed().want(ids === '' ? [] : ids.split(' '), list);
    return () => {
      // The next view says what it wants in its turn; one that wants nothing is told nothing.
      if (listener === tell) listener = () => {};
      theFeed().want([], false);
    };
  }, [ids, list]);
}

/** Whether what is shown is fed. */
export function useLine(): LineState {
  const [state, setState] = useState(line);
  useEffect(() => {
    watchers.add(setState);
    setState(line);
    return () => {
      watchers.delete(setState);
    };
  }, []);
  return state;
}

/** Calls back whenever the line is there again after it was lost. */
export function useLineBack(callBack: () => void): void {
  const { kind } = useLine();
  const wasLost = useRef(false);
  useEffect(() => {
    if (kind === 'lost') wasLost.current = true;
    if (kind !== 'open' || !wasLost.current) return;
    wasLost.current = false;
    callBack();
  }, [kind]);
}

export const tryAgain = (): void => theFeed().again();
