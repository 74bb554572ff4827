import type { AuthLimits } from './limits.ts';
import type { RefusedSignIn } from './session-store.ts';

interface Options {
  write(refused: RefusedSignIn): Promise<void>;
  /** Is given why one could not be written. */
  report(error: Error): void;
  limits: Pick<AuthLimits, 'refusedSignInsMax' | 'refusedSignInsMs'>;
}

/**
 * Writes sign-ins that were refused into the audit log: in each `refusedSignInsMs` the first `refusedSignInsMax` by themselves, and then
 * how many more there were, so that no stranger fills the log. Nobody waits for it.
 */
export function createRefusedSignIns({ write, report, limits }: Options) {
  let count = 0;
  let timer: NodeJS.Timeout | undefined;
  let writing = Promise.resolve();

  function put(refused: RefusedSignIn): void {
    writing = writing.then(() => write(refused)).catch(report);
  }

  function turn(): void {
    timer = undefined;
    const more = count - limits.refusedSignInsMax;
    count = 0;
    if (more > 0) put({ actor: { kind: 'server' }, why: 'more than are written one by one', count: more });
  }

  return {
    note(refused: RefusedSignIn): void {
      timer ??= setTimeout(turn, limits.refusedSignInsMs).unref();
      count++;
      if (count <= limits.refusedSignInsMax) put(refused);
    },
    /** Writes what is still counted. */
    close(): Promise<void> {
      clearTimeout(timer);
      turn();
      return writing;
    },
  };
}
