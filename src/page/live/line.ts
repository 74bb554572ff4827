import { readEventStream, type StreamEvent } from './event-stream.ts';
import type { LineState } from './protocol.ts';

/** Bounds of one connection; a test makes them small. */
export const lineLimits = {
  /** Without a byte for so long the connection is taken for dead. The server sends a heartbeat every 15 s. */
  silenceMsMax: 40_000,
  /** An answer to a new connection begins within so long, if only to say that the server cannot. */
  openMsMax: 15_000,
  /** One that was begun so long ago may be given up for a new one, when somebody asks for it. */
  hangMsMin: 2_000,
  /** The first wait before the next try. It doubles up to the longest. */
  retryMsMin: 500,
  retryMsMax: 10_000,
  /** How often the silence is looked at. A sleeping computer does not look, and finds out when it wakes. */
  lookMs: 1_000,
};

export interface LiveConnection {
  close(): void;
  /** Tries at once, where it would have waited. */
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
 * One connection to a route of events, for as long as it is not closed: it is opened again whenever it breaks, and goes on
 * after the last event that came. It does not use EventSource, which stays silent for hours on a line that is cut without
 * a word, hides heartbeats, and says of no failure why.
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
    // There is nothing to follow: nobody has lost anything. What was deleted may be restored.
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
      // One that is still being made may hang in a network that is gone.
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
  // What browsers say of a connection that they could not make.
  return error instanceof TypeError ? 'The server cannot be reached.' : error.message;
}
