import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { createFairTurns } from '../lib/fair-turns.ts';
import type { HttpLimits } from './limits.ts';

/**
 * What connections bring before the parser has it. Node parses whatever comes in the turn in which it comes; of 500 connections
 * 64 KiB each that is seconds. To stop reading all others takes time for each of them, also for thousands that send nothing. So what
 * comes is taken here first: some in a turn, the rest waits, and who sends nothing costs nothing.
 */
export interface ReadsInTurns {
  /** Takes over what a connection brings, after Node has taken it in. */
  open(socket: Socket): void;
  /**
   * A request under a known key has come on it. From the second on, Node's parser has it back, which takes 10 µs less for each
   * read; of up to `directConnectionsMax` connections.
   */
  know(socket: Socket, organizationId: string): void;
  /** Those that Node's parser reads by itself. */
  readonly direct: ReadonlySet<Socket>;
}

type Limits = Pick<
  HttpLimits,
  | 'strangersReadMsPerTurn'
  | 'knownReadMsPerTurn'
  | 'waitingReadBytesMax'
  | 'strangersReadBytesMax'
  | 'strangersReadBytesMin'
  | 'directConnectionsMax'
  | 'resumedPerTurnMax'
>;

interface Reading {
  organizationId?: string;
  /** What has been read of it and waits for its turn. While there is any, it is not read. */
  waiting: Buffer[];
  giveBack(): void;
}

type Parse = (part: Buffer) => void;

/**
 * @param organizationOf the organization of a key that is known
 * @param now milliseconds from any origin
 */
export function createReadsInTurns(
  limits: Limits,
  organizationOf: (key: string) => string | undefined,
  now: () => number = performance.now.bind(performance),
): ReadsInTurns {
  const readings = new Map<Socket, Reading>();
  const direct = new Set<Socket>();
  const strangers = createFairTurns(limits.strangersReadMsPerTurn);
  const known = createFairTurns(limits.knownReadMsPerTurn);
  const backlog = createBacklog(limits, readings);

  function take(socket: Socket, reading: Reading, part: Buffer, parse: Parse): void {
    // More may come of one that waits: Node reads on when it has answered a request.
    if (reading.waiting.length > 0) {
      wait(socket, reading, part);
      return;
    }
    const owner = reading.organizationId ?? organizationOf(keyIn(part));
    let hasWaited = false;
    let isDone = false;
    (owner === undefined ? strangers : known).run(owner ?? '', 0, () => {
      isDone = true;
      const begunAt = now();
      if (hasWaited) parseWaiting(socket, reading, parse);
      else parse(part);
      return now() - begunAt;
    });
    if (isDone) return;
    hasWaited = true;
    if (owner === undefined && backlog.isFull() && part.length > limits.strangersReadBytesMin) socket.destroy();
    wait(socket, reading, part);
  }

  function wait(socket: Socket, reading: Reading, part: Buffer): void {
    reading.waiting.push(part);
    stopReading(socket);
    backlog.came(part.length);
  }

  function parseWaiting(socket: Socket, reading: Reading, parse: Parse): void {
    const parts = reading.waiting.splice(0);
    const all = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    backlog.left(all.length);
    if (socket.destroyed) return;
    // Whoever has paused it does not want it yet; it comes again when they do.
    if (socket.isPaused()) {
      socket.unshift(all);
      return;
    }
    parse(all);
    if (!socket.isPaused()) readOn(socket);
  }

  return {
    direct,
    open(socket) {
      const reading: Reading = { waiting: [], giveBack: () => {} };
      reading.giveBack = takeOver(socket, (part, parse) => take(socket, reading, part, parse));
      readings.set(socket, reading);
      socket.once('close', () => {
        readings.delete(socket);
        direct.delete(socket);
      });
    },
    know(socket, organizationId) {
      const reading = readings.get(socket);
      if (reading === undefined) return;
      const isKept = reading.organizationId !== undefined;
      reading.organizationId = organizationId;
      if (!isKept || reading.waiting.length > 0 || direct.size >= limits.directConnectionsMax) return;
      readings.delete(socket);
      direct.add(socket);
      reading.giveBack();
    },
  };
}

/**
 * Stops reading strangers when more waits than `waitingReadBytesMax`, and reads them again when half of it is left. Who came
 * last is read before, some in each turn: it may be somebody with a key.
 */
function createBacklog(limits: Limits, readings: ReadonlyMap<Socket, Reading>) {
  let bytes = 0;
  let isDue = false;
  /** Those that came last are its last. */
  const unread: Socket[] = [];

  function stop(): void {
    for (const [socket, { organizationId, waiting }] of readings) {
      if (organizationId !== undefined || waiting.length > 0 || socket.isPaused()) continue;
      socket.pause();
      unread.push(socket);
    }
  }

  function goOn(): void {
    isDue = false;
    const isHigh = bytes > limits.waitingReadBytesMax / 2;
    for (let left = isHigh ? lastReadPerTurn : limits.resumedPerTurnMax; left > 0; left--) {
      const socket = unread.pop();
      if (socket === undefined) return;
      if (!socket.destroyed) socket.resume();
    }
    goOnLater();
  }

  function goOnLater(): void {
    if (isDue) return;
    isDue = true;
    setImmediate(goOn);
  }

  return {
    isFull: () => bytes > limits.strangersReadBytesMax,
    came(count: number): void {
      bytes += count;
      if (bytes <= limits.waitingReadBytesMax) return;
      stop();
      goOnLater();
    },
    left(count: number): void {
      bytes -= count;
    },
  };
}

/** As many as are accepted in a turn. */
const lastReadPerTurn = 16;

/** The key of a request whose head begins a read; '' where there is none. */
function keyIn(part: Buffer): string {
  const head = part.toString('latin1', 0, Math.min(part.length, keyLooksMax));
  return /\r\nx-api-key:[ \t]*([^\r\n]*[^\r\n \t])/i.exec(head)?.[1] ?? '';
}

/** Bytes of a read in which the key is looked for. */
const keyLooksMax = 4_096;

/** What Node keeps at a socket and does not document; `test/http/reads-in-turns.test.ts` fails where it is another. */
interface Inside {
  _handle?: { reading: boolean; readStart(): void; readStop(): void } | null;
  parser?: { _consumed: boolean; consume(handle: unknown): void } | null;
}

function stopReading(socket: Socket): void {
  const { _handle: handle } = socket as Socket & Inside;
  if (!handle?.reading) return;
  handle.reading = false;
  handle.readStop();
}

function readOn(socket: Socket): void {
  const { _handle: handle } = socket as Socket & Inside;
  if (!handle || handle.reading) return;
  handle.reading = true;
  handle.readStart();
}

/**
 * Puts `take` before the listener with which Node parses what a connection brings.
 * @returns what gives the connection back to the parser, which then reads it below JavaScript, as it does by itself
 */
function takeOver(socket: Socket, take: (part: Buffer, parse: Parse) => void): () => void {
  const [parse, pause, resume] = ['data', 'pause', 'resume'].map((event) => socket.listeners(event)[0] as Parse);
  const { parser, _handle: handle } = socket as Socket & Inside;
  if (parse === undefined || pause === undefined || resume === undefined || !parser?._consumed) return () => {};
  const isOurs = () => socket.listenerCount('data', onData) > 0;
  const onData = (part: Buffer) =>
    take(part, (all) => {
      // Who has sent no HTTP is read by another listener since.
      if (isOurs()) parse(all);
    });
  socket.removeListener('data', parse);
  // With a listener of somebody else Node takes its parser off the handle, and these two, which start and stop it at once.
  socket.on('data', onData).on('pause', pause).on('resume', resume);
  return () => {
    if (!isOurs() || (socket as Inside).parser !== parser) return;
    socket.removeListener('data', onData);
    // Not by the socket's own method, which would take the parser off again.
    Reflect.apply(Readable.prototype.on, socket, ['data', parse]);
    parser._consumed = true;
    parser.consume(handle);
  };
}
