import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

interface Figure {
  count: number;
  /** Without the time for which the machine had no processor for the server or the witness. */
  worstMs: number;
  /** Not answered, or not as it must be. */
  wrong: number;
  tells: string[];
}

/** What somebody else has seen while an attack went on. */
export interface Figures {
  chunks: Figure;
  /** Initialize and finalize. */
  runs: Figure;
  health: Figure;
  /** Bytes of memory that the server had at most. */
  residentMax: number;
  /** The longest time for which the server's event loop did not turn, by a clock within it (loop-clock.mjs). */
  turnMs: number;
}

export interface WatchedServer {
  port: number;
  pid: number;
  key: string;
  /** What the clock of its event loop writes. */
  clockFile: string;
}

/** Somebody else, in a process of their own (witness.mjs). */
export interface Witness {
  pid: number;
  begin(server: WatchedServer): Promise<void>;
  /** Waits up to `answerMsMax` for answers that are still due. */
  end(): Promise<Figures>;
  close(): void;
}

/** Longest time until somebody else is answered, whatever goes on. */
export const answerMsMax = 1_000;
/** Longest time in which nothing at all is answered. */
export const stallMsMax = 100;

export function startWitness(): Witness {
  const child = fork(fileURLToPath(new URL('./witness.mjs', import.meta.url)), { execArgv: [] });
  const order = async <Reply>(message: object, name: string): Promise<Reply> => {
    const answered = once(child, 'message');
    child.send(message);
    const [reply] = (await answered) as [Record<string, unknown>];
    if (reply.failure !== undefined) throw new Error(`the witness: ${reply.failure}`);
    return reply[name] as Reply;
  };
  return {
    pid: child.pid as number,
    begin: (server) => order({ order: 'begin', answerMsMax, ...server }, 'begun'),
    end: () => order<Figures>({ order: 'end' }, 'figures'),
    close: () => void child.kill(),
  };
}

/**
 * A stall is one that both sides have seen: the server's event loop did not turn, and somebody else had no answer. Both leave out
 * what the machine adds, each in its own way, so that noise has to hit both.
 */
export function stallOf({ health, turnMs }: Figures): number {
  return Math.min(health.worstMs, turnMs);
}

/** What the machine adds to a stall, from the figures of an idle server in the same run. */
export function marginOf(idle: Figures): number {
  return Math.min(100, Math.max(20, 2 * stallOf(idle)));
}
