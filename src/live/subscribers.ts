import { Readable } from 'node:stream';
import { unavailable } from '../errors.ts';
import { heartbeat, retryFrame } from './frames.ts';
import type { LiveLimits } from './limits.ts';

/** A client that follows runs, on a connection that stays open. */
export interface Subscriber {
  readonly organizationId: string;
  /** The events that are sent to it. */
  readonly stream: Readable;
  /** Sends an event. If too much of what was sent before is still unread, the connection is cut instead. */
  send(frame: Buffer): void;
  /** Tells the client when to connect again, and ends the stream in order. */
  end(): void;
  /** Ends the stream after this time in ms; with 0 at once. */
  endAfter(ms: number): void;
  /** Counts one more followed run. */
  enterRun(): void;
  /** A followed run is gone. After the last one the stream ends. */
  leaveRun(): void;
}

export interface SubscriberOptions {
  organizationId: string;
  /** Whether the key of the client is still valid. Is called every `keyLookMs`. */
  mayGoOn(): Promise<boolean>;
}

/** All clients that follow in this process. */
export interface Subscribers {
  /** @throws ApiError 503 when there are too many, or this process is ending */
  open(options: SubscriberOptions): Subscriber;
  count(): number;
  /** Ends all streams, and accepts no more clients. */
  close(): void;
}

/**
 * Sends heartbeats, checks the keys of the clients, and bounds their number. An organization may have at most as many
 * clients as are still free, so that it cannot take all places.
 */
export function createSubscribers(limits: LiveLimits): Subscribers {
  const all = new Map<Subscriber, SubscriberOptions>();
  const counts = new Map<string, number>();
  let timers: NodeJS.Timeout[] = [];
  let isClosed = false;

  function start(): void {
    if (timers.length > 0) return;
    const beat = () => all.forEach((_, subscriber) => void subscriber.send(heartbeat));
    timers = [setInterval(beat, limits.heartbeatMs), setInterval(lookAtKeys, limits.keyLookMs)];
    for (const timer of timers) timer.unref();
  }

  function lookAtKeys(): void {
    for (const [subscriber, { mayGoOn }] of all) {
      // While the database cannot be asked, the client stays connected.
      mayGoOn().then(
        (may) => may || subscriber.end(),
        () => {},
      );
    }
  }

  function leave(subscriber: Subscriber): void {
    const { organizationId } = subscriber;
    if (!all.delete(subscriber)) return;
    const left = (counts.get(organizationId) as number) - 1;
    if (left === 0) counts.delete(organizationId);
    else counts.set(organizationId, left);
    if (all.size > 0) return;
    for (const timer of timers) clearInterval(timer);
    timers = [];
  }

  return {
    open(options) {
      if (isClosed) throw unavailable('This server process is ending; connect again to reach another one.');
      const { organizationId } = options;
      const count = counts.get(organizationId) ?? 0;
      if (count >= limits.subscribersMax - all.size) throw tooMany(count, limits);
      const subscriber = createSubscriber(organizationId, limits);
      counts.set(organizationId, count + 1);
      all.set(subscriber, options);
      subscriber.stream.once('close', () => leave(subscriber));
      start();
      return subscriber;
    },
    count: () => all.size,
    close() {
      isClosed = true;
      for (const subscriber of [...all.keys()]) subscriber.end();
    },
  };
}

function tooMany(count: number, { subscribersMax }: LiveLimits): Error {
  return unavailable(
    `This organization follows runs on ${count} connections, as many as are free for others (subscribersMax, ${subscribersMax}).`,
  );
}

function createSubscriber(organizationId: string, limits: LiveLimits): Subscriber {
  // Nothing is produced on demand: events are pushed as they come.
  const stream = new Readable({ read() {} });
  let isEnded = false;
  const push = (frame: Buffer) => {
    if (isEnded || stream.destroyed) return;
    if (stream.readableLength > limits.subscriberBytesMax) stream.destroy();
    else stream.push(frame);
  };
  const end = () => {
    push(retryFrame(limits.retryMs));
    if (isEnded || stream.destroyed) return;
    isEnded = true;
    stream.push(null);
  };
  let runs = 0;
  return {
    organizationId,
    stream,
    send: push,
    end,
    endAfter(ms) {
      if (ms === 0) return end();
      const late = setTimeout(end, ms).unref();
      stream.once('close', () => clearTimeout(late));
    },
    enterRun() {
      runs++;
    },
    leaveRun() {
      runs--;
      if (runs === 0) end();
    },
  };
}
