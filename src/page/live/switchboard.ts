import type { StreamEvent } from './event-stream.ts';
import { type LiveConnection, openLine } from './line.ts';
import type { LineState } from './protocol.ts';

/** Runs that one connection may watch; the server refuses more. */
export const watchedRunsMax = 50;

export interface Wish {
  base: string;
  dataIds: string[];
  list: boolean;
}

export interface Listener {
  onEvent(name: string, data: string): void;
  onLine(state: LineState): void;
}

export interface Switchboard {
  want(listener: Listener, wish: Wish): void;
  leave(listener: Listener): void;
  /** Makes lost connections connect again at once. */
  again(): void;
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

  const listenersOf = ({ dataIds }: OpenLine) =>
    [...wishes].filter(([, wish]) => (dataIds === 'list' ? wish.list : wish.dataIds.some((id) => dataIds.has(id))));

  const pass = (one: OpenLine, { name, data }: StreamEvent) => {
    const about = one.dataIds === 'list' ? undefined : (JSON.parse(data) as { data_id?: string }).data_id;
    for (const [listener, wish] of listenersOf(one)) {
      if (about === undefined || wish.dataIds.includes(about)) listener.onEvent(name, data);
    }
  };

  const start = (url: string, dataIds: OpenLine['dataIds']) => {
    const one: OpenLine = { dataIds, state: { kind: 'connecting' }, line: { close: () => {}, again: () => {} } };
    lines.set(url, one);
    one.line = open({
      url,
      onEvent: (event) => pass(one, event),
      onState: (state) => {
        one.state = state;
        for (const [listener] of listenersOf(one)) listener.onLine(state);
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

  return {
    want(listener, wish) {
      wishes.set(listener, wish);
      const before = new Set(lines.keys());
      arrange();
      // A line that was open before has reported its state to other listeners only.
      for (const [url, one] of lines) {
        if (before.has(url) && listenersOf(one).some(([other]) => other === listener)) listener.onLine(one.state);
      }
    },
    leave(listener) {
      wishes.delete(listener);
      arrange();
    },
    again() {
      for (const { line } of lines.values()) line.again();
    },
  };
}

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
