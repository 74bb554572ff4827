import type { TabMessage, WorkerMessage } from './protocol.ts';
import { createSwitchboard, type Listener } from './switchboard.ts';

/** A tab that says nothing for this long counts as closed. Timers of hidden tabs may run only once a minute. */
const tabSilenceMsMax = 150_000;
/** How often closed tabs are looked for. */
const lookMs = 30_000;

/** The shared worker: all tabs of the browser get their events from here. */
const switchboard = createSwitchboard();
const tabs = new Map<MessagePort, { listener: Listener; heardMs: number }>();

// The types of the page are those of a document; this file runs in a worker.
const scope = globalThis as unknown as { onconnect: (event: MessageEvent) => void };
scope.onconnect = ({ ports }) => {
  const port = ports[0] as MessagePort;
  const send = (message: WorkerMessage) => port.postMessage(message);
  const listener: Listener = {
    onEvent: (name, data) => send({ kind: 'event', name, data }),
    onLine: (state) => send({ kind: 'line', state }),
  };
  port.onmessage = ({ data: message }: MessageEvent<TabMessage>) => {
    if (message.kind === 'bye') tabs.delete(port);
    else tabs.set(port, { listener, heardMs: Date.now() });
    switchboard.take(listener, message);
  };
};

let lookedMs = Date.now();
setInterval(() => {
  const nowMs = Date.now();
  // The computer was asleep, and so were the tabs: they could not be heard.
  const hasSlept = nowMs - lookedMs > 2 * lookMs;
  lookedMs = nowMs;
  for (const [port, tab] of tabs) {
    if (hasSlept) tab.heardMs = nowMs;
    if (nowMs - tab.heardMs <= tabSilenceMsMax) continue;
    tabs.delete(port);
    switchboard.leave(tab.listener);
  }
}, lookMs);
