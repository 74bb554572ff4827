import { readEventStream, type StreamEvent } from './event-stream.ts';
import type { LineState } from './protocol.ts';

/** Bounds of one connection; a test makes them small. */
export const lineLimits = {
  /** A connection without a byte for this long counts as dead. The server sends a heartbeat every 15 s. */
  silenceMsMax: 40_000,
  /** The time-out until the answer to a new connection begins. */
  openMsMax: 15_000,
  /** `again` gives up an attempt to connect that is at least this old. */
  hangMsMin: 2_000,
  /** The first wait before the next attempt. It doubles up to `retryMsMax`. */
  retryMsMin: 500,
  retryMsMax: 10_000,
  /** How often the silence is checked. A sleeping computer checks when it wakes. */
  lookMs: 1_000,
};

export interface LiveConnection {
  close(): void;
  /** Connects at once instead of waiting for the next attempt. */
  again(): void;
}

interface LineOptions {
  url: string;
  onEvent(event: StreamEvent): void;
  onState(state: LineState): void;
  limits?: Partial<typeof lineLimits>;
  fetch?: typeof fetch;
  now?: () => number;
}

/**
 * A connection to a route of events. It connects again whenever the connection breaks, until it is closed, and continues
 * after the last event that came. It does not use EventSource: that does not notice for hours when a connection dies
 * silently, hides heartbeats, and never says why a connection failed.
 */
export function openLine({
  url,
  onEvent,
  onState,
  limits: given,
  fetch = globalThis.fetch,
  now = Date.now,
}: LineOptions): LiveConnection {
  const limits = { ...lineLimits, ...given };
  let closed = false;
  let lastId = '';
  let waitMs = limits.retryMsMin;
  let aliveMs = now();
  let isOpen = false;
  let attempt = new AbortController();
  let wake = () => {};
  const watchdog = setInterval(() => {
    const msMax = isOpen ? limits.silenceMsMax : limits.openMsMax;
    if (now() - aliveMs > msMax) attempt.abort(new Error('The server is silent.'));
  }, limits.lookMs);

  const connectOnce = async () => {
    attempt = new AbortController();
    aliveMs = now();
    const headers: Record<string, string> = { accept: 'text/event-stream' };
    if (lastId !== '') headers['last-event-id'] = lastId;
    const answer = await fetch(url, { headers, signal: attempt.signal, credentials: 'same-origin' });
    if (answer.status === 401) return 'signed-out';
    // The runs are unknown, which is no failure. It asks again later, since a deleted run may be restored.
    if (answer.status === 404) return 'unknown';
    if (!answer.ok || answer.body === null) throw new Error(await reasonOf(answer));
    const reader = readEventStream();
    const decoder = new TextDecoder();
    isOpen = true;
    onState({ kind: 'open' });
    for (const bytes = answer.body.getReader(); ; ) {
      const { done, value } = await bytes.read();
      if (done) break;
      aliveMs = now();
      waitMs = reader.retryMs() ?? limits.retryMsMin;
      for (const event of reader.add(decoder.decode(value, { stream: true }))) {
        if (event.id !== '') lastId = event.id;
        onEvent(event);
      }
    }
    throw new Error('The server has ended the connection.');
  };

  const run = async () => {
    onState({ kind: 'connecting' });
    while (!closed) {
      const heardMs = aliveMs;
      try {
        const end = await connectOnce();
        if (end === 'signed-out') {
          onState({ kind: 'signed-out' });
          break;
        }
        onState({ kind: 'unknown' });
        waitMs = limits.retryMsMax;
      } catch (error) {
        isOpen = false;
        if (closed) break;
        const reason = attempt.signal.aborted ? attempt.signal.reason : error;
        onState({ kind: 'lost', sinceMs: Math.max(heardMs, aliveMs), why: sentenceOf(reason) });
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, waitMs);
      });
      waitMs = Math.min(waitMs * 2, limits.retryMsMax);
    }
    clearInterval(watchdog);
  };
  void run();
  return {
    close: () => {
      closed = true;
      clearInterval(watchdog);
      attempt.abort();
      wake();
    },
    again: () => {
      waitMs = limits.retryMsMin;
      // An attempt that has not connected yet may hang because the network is gone.
      if (!isOpen && now() - aliveMs > limits.hangMsMin) attempt.abort(new Error('The server is silent.'));
      wake();
    },
  };
}

async function reasonOf(answer: Response): Promise<string> {
  const body = (await answer.json().catch(() => undefined)) as { detail?: unknown } | undefined;
  return typeof body?.detail === 'string' ? body.detail : `The server answers ${answer.status}.`;
}

function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return 'The connection broke.';
  // fetch throws TypeError when it cannot connect.
  return error instanceof TypeError ? 'The server cannot be reached.' : error.message;
}
