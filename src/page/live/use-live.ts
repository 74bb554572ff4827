import { useEffect, useRef, useState } from 'preact/hooks';
import { base, whenSignedOut } from '../api/client.ts';
import { openFeed, type TabFeed } from './feed.ts';
import type { LineState } from './protocol.ts';

/*
 * The tab has one feed. The view that is shown sets what the feed subscribes to.
 */

type OnEvent = (name: string, data: unknown) => void;

let feed: TabFeed | undefined;
let listener: OnEvent = () => {};
let line: LineState = { kind: 'connecting' };
const watchers = new Set<(state: LineState) => void>();
let signedOut = () => {};

/** @param callBack called when the session has ended, whether a request or the live connection finds out */
export function onSignedOut(callBack: () => void): void {
  signedOut = callBack;
  whenSignedOut(callBack);
}

function setLine(state: LineState): void {
  line = state;
  for (const watcher of watchers) watcher(state);
}

function theFeed(): TabFeed {
  feed ??= openFeed({
    base,
    onEvent: (name, data) => listener(name, JSON.parse(data)),
    onLine(state) {
      setLine(state);
      if (state.kind === 'signed-out') signedOut();
    },
  });
  return feed;
}

/** Subscribes to the events of some runs, or of the list, while the view is shown. */
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
    // The last state was that of the connections of another view.
    setLine({ kind: 'connecting' });
    theFeed().want(ids === '' ? [] : ids.split(' '), list);
    return () => {
      // The next view may have subscribed already; its handler stays.
      if (listener === tell) listener = () => {};
      theFeed().want([], false);
    };
  }, [ids, list]);
}

/** The state of the live connection. */
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

/** Calls back with every state of the connection, also one that is over before the next render. */
function useLineStates(callBack: (state: LineState) => void): void {
  const latest = useRef(callBack);
  latest.current = callBack;
  useEffect(() => {
    const watch = (state: LineState) => latest.current(state);
    watchers.add(watch);
    return () => {
      watchers.delete(watch);
    };
  }, []);
}

/** Calls back whenever a connection has begun, also one that replaces another. */
export function useLineOpen(callBack: () => void): void {
  useLineStates(({ kind }) => {
    if (kind === 'open') callBack();
  });
}

/** Calls back whenever the connection is open again after it was lost. */
export function useLineBack(callBack: () => void): void {
  const wasLost = useRef(line.kind === 'lost');
  useLineStates(({ kind }) => {
    const isBack = kind === 'open' && wasLost.current;
    if (kind === 'lost' || kind === 'open') wasLost.current = kind === 'lost';
    if (isBack) callBack();
  });
}

export const tryAgain = (): void => theFeed().again();
