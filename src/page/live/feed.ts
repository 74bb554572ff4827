import type { LineState, TabMessage, Wish, WorkerMessage } from './protocol.ts';
import { createSwitchboard } from './switchboard.ts';

/** How often a tab tells the worker that it is still open. */
const hereMs = 20_000;

export interface TabFeed {
  /** Sets what to subscribe to from now on: these runs, and whether the list of runs too. */
  want(dataIds: string[], list: boolean): void;
  again(): void;
}

interface FeedOptions {
  base: string;
  onEvent(name: string, data: string): void;
  onLine(state: LineState): void;
}

/** Opens the feed of events of this tab: through the shared worker, or without one where the browser has none. */
export function openFeed(options: FeedOptions): TabFeed {
  const send = 'SharedWorker' in globalThis ? throughWorker(options) : alone(options);
  let wish: Wish | undefined;
  const say = (kind: 'want' | 'here' | 'again') => {
    if (wish !== undefined) send({ kind, wish });
  };
  const again = () => say('again');
  setInterval(() => say('here'), hereMs);
  addEventListener('pagehide', () => send({ kind: 'bye' }));
  // The tab comes back from the cache of the Back button; it has said `bye` before.
  addEventListener('pageshow', (event) => {
    if (event.persisted) say('here');
  });
  addEventListener('online', again);
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') again();
  });
  return {
    want(dataIds, list) {
      wish = { base: options.base, dataIds, list };
      say('want');
    },
    again,
  };
}

function throughWorker({ onEvent, onLine }: FeedOptions): (message: TabMessage) => void {
  const worker = new SharedWorker(new URL(WORKER_FILE, import.meta.url), { name: 'metrology live' });
  worker.port.onmessage = ({ data: message }: MessageEvent<WorkerMessage>) => {
    if (message.kind === 'event') onEvent(message.name, message.data);
    else onLine(message.state);
  };
  return (message) => worker.port.postMessage(message);
}

function alone({ onEvent, onLine }: FeedOptions): (message: TabMessage) => void {
  const switchboard = createSwitchboard();
  const listener = { onEvent, onLine };
  return (message) => switchboard.take(listener, message);
}
