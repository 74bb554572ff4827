import { Readable } from 'node:stream';
import { unavailable } from '../errors.ts';
import { heartbeat, retryFrame } from './frames.ts';
import type { LiveLimits } from './limits.ts';

/** A client that follows runs, on a connection that stays open. */
export interface Subscriber {
  readonly organizationId: string;
  /** What it is sent. */
  readonly stream: Readable;
  /** Sends an event; a client that has left too much unread is cut off instead. */
  send(frame: Buffer): void;
  /** Says when to come back, and ends in order. */
  end(): void;
  /** Ends so many ms from now; 0 at once. */
  endAfter(ms: number): void;
  /** It follows one more run. */
  enterRun(): void;
  /** A run that it followed is gone; after the last of them it ends. */
  leaveRun(): void;
}

export interface SubscriberOptions {
  organizationId: string;
  /** Whether the key still opens. It is asked every `keyLookMs`. */
  mayGoOn(): Promise<boolean>;
}

/** All who follow in this process. */
export interface Subscribers {
  /** @throws ApiError 503 when there are too many, or this process ends */
  open(options: SubscriberOptions): Subscriber;
  count(): number;
  /** Ends all, and takes no more. */
  close(): void;
}

/**
 * Sends everybody a heartbeat, looks at their keys, and keeps their number within bounds: an organization has as many as are
 * still free, so that no other finds none.
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
      // Whether it may is not known while the database cannot be asked.
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
      if (isClosed) throw unavailable('This server process ends; another one, or the next, will tell.');
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
  // Nothing is made when it is read: all is sent by events.
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
