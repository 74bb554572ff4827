import type { TabMessage, WorkerMessage } from './protocol.ts';
import { createSwitchboard, type Listener } from './switchboard.ts';

/** A tab that says nothing for this long counts as closed. Timers of hidden tabs may run only once a minute. */
const tabSilenceMsMax = 150_000;

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
    tabs.set(port, { listener, heardMs: Date.now() });
    if (message.kind === 'want') switchboard.want(listener, message);
    if (message.kind === 'again') switchboard.again();
    if (message.kind === 'bye') forget(port, listener);
  };
};

function forget(port: MessagePort, listener: Listener): void {
  tabs.delete(port);
  switchboard.leave(listener);
}

setInterval(() => {
  for (const [port, { listener, heardMs }] of tabs) if (Date.now() - heardMs > tabSilenceMsMax) forget(port, listener);
}, 30_000);
