import { constants, openSync, write, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

/** A file that a log is written to, and that holds up nobody. */
export interface LogFile {
  write(line: string): void;
  /** Writes what waits, before the process exits. It gives up when nobody reads. */
  flush(): void;
}

interface LogFileOptions {
  descriptor: number;
  /** Bytes of lines that may wait. Further lines are dropped. */
  bytesMax: number;
  /** Called when all that waited has been written, with the number of lines that were dropped meanwhile. */
  onDropped(count: number): void;
}

/** A pipe takes as many bytes at once without mixing them with the lines of another process (PIPE_BUF). */
const unmixedBytes = 4_096;
/** Pause before a write is repeated that found no room. */
const roomMs = 100;
/** A write that takes longer waits for a reader. The exit of the process does not. */
const stuckMs = 200;
/** Time for a write that a thread has just begun. */
const begunMs = 10;

/**
 * A thread of libuv writes the lines, since a write to a terminal or a pipe that nobody reads waits. Pino's own destination
 * (sonic-boom 4.2) cannot be used so: its `flushSync` repeats a write that fails for ever, as after a terminal was closed.
 */
export function openLogFile({ descriptor: given, bytesMax, onDropped }: LogFileOptions): LogFile {
  const descriptor = withoutWaiting(given);
  let lines: Buffer[] = [];
  let bytes = 0;
  let dropped = 0;
  let isBusy = false;
  /** When the file last took something, or had nothing to take. */
  let tookMs = 0;

  function writeNext(): void {
    isBusy = lines.length > 0;
    if (isBusy) {
      writePiece(takePiece(lines));
      return;
    }
    const count = dropped;
    dropped = 0;
    if (count > 0) onDropped(count);
  }

  function writePiece(piece: Buffer): void {
    write(descriptor, piece, (error, count) => {
      if (hasNoRoom(error)) {
        lines.unshift(piece);
        setTimeout(writeNext, roomMs).unref();
        return;
      }
      // Of a piece that cannot be written, as to a full disk, nothing is kept.
      const rest = piece.subarray(error === null ? count : piece.length);
      if (rest.length > 0) lines.unshift(rest);
      bytes -= piece.length - rest.length;
      tookMs = performance.now();
      writeNext();
    });
  }

  return {
    write(text) {
      const line = Buffer.from(text);
      if (bytes + line.length > bytesMax) {
        dropped++;
        return;
      }
      lines.push(line);
      bytes += line.length;
      if (isBusy) return;
      tookMs = performance.now();
      writeNext();
    },
    flush() {
      if (isBusy && performance.now() - tookMs > stuckMs) return;
      if (isBusy) sleep(begunMs);
      writeAtOnce(descriptor, Buffer.concat(lines));
      lines = [];
    },
  };
}

/** Takes as many whole lines as are written together, at least one. */
function takePiece(lines: Buffer[]): Buffer {
  let [count, length] = [0, 0];
  for (const line of lines) {
    if (count > 0 && length + line.length > unmixedBytes) break;
    count++;
    length += line.length;
  }
  return Buffer.concat(lines.splice(0, count));
}

/**
 * A terminal is opened once more so that a write fails instead of waiting: Node waits at its exit for threads that write. The
 * given descriptor stays as it is, since other processes share it. Pipes and sockets never wait: Node makes them so when it
 * opens `process.stderr`.
 */
function withoutWaiting(descriptor: number): number {
  if (!isatty(descriptor)) return descriptor;
  try {
    return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // A terminal of another user, or no Linux.
    return descriptor;
  }
}

function writeAtOnce(descriptor: number, text: Buffer): void {
  const untilMs = performance.now() + stuckMs;
  for (let rest = text; rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      if (!hasNoRoom(error) || performance.now() > untilMs) return;
      sleep(begunMs);
    }
  }
}

const hasNoRoom = (error: unknown) => ['EAGAIN', 'EBUSY'].includes((error as NodeJS.ErrnoException | null)?.code ?? '');

const sleep = (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
