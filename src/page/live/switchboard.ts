import type { StreamEvent } from './event-stream.ts';
import { type LiveConnection, openLine } from './line.ts';
import type { LineState, StatusEvent, TabMessage, Wish } from './protocol.ts';

/** Runs that one connection may watch; the server refuses more. */
export const watchedRunsMax = 50;

export interface Listener {
  onEvent(name: string, data: string): void;
  onLine(state: LineState): void;
}

export interface Switchboard {
  take(listener: Listener, message: TabMessage): void;
  /** Ends the subscriptions of a listener. If it is heard again, it learns that it was cut off. */
  leave(listener: Listener): void;
}

interface OpenLine {
  line: LiveConnection;
  state: LineState;
  dataIds: Set<string> | 'list';
}

/**
 * Serves the subscriptions of several tabs by as few connections as possible: one for each 50 runs, and one for the list.
 * A browser opens at most six connections to a host, for all tabs together.
 */
export function createSwitchboard(open: typeof openLine = openLine): Switchboard {
  const wishes = new Map<Listener, Wish>();
  const lines = new Map<string, OpenLine>();
  /** Since when listeners are gone, in Unix ms. */
  const gone = new WeakMap<Listener, number>();

  const listenersOf = (one: OpenLine) => [...wishes].filter(([, wish]) => listensTo(wish, one));

  const pass = (one: OpenLine, { name, data }: StreamEvent) => {
    const about = one.dataIds === 'list' ? undefined : (JSON.parse(data) as { data_id?: string }).data_id;
    for (const [listener, wish] of listenersOf(one)) {
      if (about === undefined || wish.dataIds.includes(about)) listener.onEvent(name, data);
    }
  };

  const start = (url: string, dataIds: OpenLine['dataIds'], state: LineState = { kind: 'connecting' }) => {
    const one: OpenLine = { dataIds, state, line: { close: () => {}, again: () => {} } };
    lines.set(url, one);
    one.line = open({
      url,
      onEvent: (event) => pass(one, event),
      onState: (next) => {
        // A line that replaces another one keeps its state until it knows better.
        if (next.kind === 'connecting' && one.state.kind !== 'connecting') return;
        one.state = next;
        for (const [listener] of listenersOf(one)) listener.onLine(next);
        if (next.kind !== 'unknown' || one.dataIds === 'list') return;
        for (const dataId of one.dataIds) pass(one, deletedEvent(dataId));
      },
    });
  };

  const arrange = () => {
    const wanted = urlsOf([...wishes.values()]);
    for (const [url, { line, state }] of lines) {
      if (wanted.has(url) && state.kind !== 'signed-out') continue;
      line.close();
      lines.delete(url);
    }
    for (const [url, dataIds] of wanted) if (!lines.has(url)) start(url, dataIds);
  };

  const want = (listener: Listener, wish: Wish) => {
    const had = wishes.get(listener);
    wishes.set(listener, wish);
    const goneMs = gone.get(listener);
    if (goneMs !== undefined) listener.onLine({ kind: 'lost', sinceMs: goneMs, why: 'This page was asleep.' });
    gone.delete(listener);
    const before = new Set(lines.values());
    arrange();
    for (const [url, one] of [...lines]) {
      if (!before.has(one) || !listensTo(wish, one)) continue;
      // It was open before, and has reported its state to other listeners only.
      listener.onLine(one.state);
      if (hadAllOf(one, wish, had)) continue;
      // Only the first events of a connection hold the whole state. Without them the listener would miss what has changed
      // between its own first read and now.
      one.line.close();
      start(url, one.dataIds, one.state);
    }
  };

  const leave = (listener: Listener) => {
    if (wishes.delete(listener)) gone.set(listener, Date.now());
    arrange();
  };

  return {
    leave,
    take(listener, message) {
      if (message.kind === 'bye') return leave(listener);
      if (message.kind === 'want' || !wishes.has(listener)) want(listener, message.wish);
      if (message.kind === 'again') for (const { line } of lines.values()) line.again();
    },
  };
}

/** The server tells this itself of a run among others that exist. */
const deletedEvent = (dataId: string): StreamEvent => {
  const event: StatusEvent = { data_id: dataId, status: 'deleted' };
  return { id: '', name: 'status', data: JSON.stringify(event) };
};

const listensTo = (wish: Wish, { dataIds }: OpenLine) =>
  dataIds === 'list' ? wish.list : wish.dataIds.some((id) => dataIds.has(id));

/** Whether a listener had all before that it wants of a line. Of the list no more is needed than to know that it is open. */
const hadAllOf = ({ dataIds }: OpenLine, wish: Wish, had: Wish | undefined) =>
  dataIds === 'list' || wish.dataIds.every((id) => !dataIds.has(id) || had?.dataIds.includes(id));

/** The addresses to connect to, each with the runs that it covers. */
function urlsOf(wishes: readonly Wish[]): Map<string, OpenLine['dataIds']> {
  const urls = new Map<string, OpenLine['dataIds']>();
  for (const base of new Set(wishes.map((wish) => wish.base))) {
    const here = wishes.filter((wish) => wish.base === base);
    const dataIds = [...new Set(here.flatMap((wish) => wish.dataIds))].sort();
    for (let i = 0; i < dataIds.length; i += watchedRunsMax) {
      const part = dataIds.slice(i, i + watchedRunsMax);
      urls.set(`${base}live?${part.map((id) => `data_id=${id}`).join('&')}`, new Set(part));
    }
    if (here.some((wish) => wish.list)) urls.set(`${base}live`, 'list');
  }
  return urls;
}
