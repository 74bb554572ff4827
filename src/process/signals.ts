import { closeSync } from 'node:fs';

/** The signals that end a server in order. SIGHUP is sent when its terminal is closed. */
const stopSignals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * Calls `stop` at the first of these signals, and ignores further ones: npm passes a Ctrl-C on to a process that has
 * received it from the terminal already. SIGUSR2, which reloads, is ignored here, since it would end a process without
 * a listener.
 */
export function onStopSignal(stop: (signal: NodeJS.Signals) => void): void {
  let isStopping = false;
  for (const name of stopSignals) {
    process.on(name, () => {
      if (!isStopping) stop(name);
      isStopping = true;
    });
  }
  process.on('SIGUSR2', () => {});
}

/**
 * Ends this process after an ordered stop. Node 20 crashes at its exit when it cannot reset a terminal that is gone.
 * After SIGHUP the standard streams are closed first, so that Node does not try.
 * @param why the signal that has stopped the process, or another reason
 */
export function leave(code: number, why: string): never {
  if (why === 'SIGHUP') {
    for (const descriptor of [0, 1, 2]) {
      try {
        closeSync(descriptor);
      } catch {
        // It was closed before.
      }
    }
  }
  process.exit(code);
}
