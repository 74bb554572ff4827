import type { AuthLimits } from './limits.ts';
import type { RefusedSignIn } from './session-store.ts';

interface Options {
  write(refused: RefusedSignIn): Promise<void>;
  /** Called when an entry could not be written. */
  report(error: Error): void;
  limits: Pick<AuthLimits, 'refusedSignInsMax' | 'refusedSignInsMs'>;
}

/**
 * Writes refused sign-ins into the audit log, in the background. In each `refusedSignInsMs` the first
 * `refusedSignInsMax` get an entry each; one more entry counts the rest. So a stranger cannot fill the log.
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
    /** Writes the rest that was only counted so far, and resolves when all entries are written. */
    close(): Promise<void> {
      clearTimeout(timer);
      turn();
      return writing;
    },
  };
}
