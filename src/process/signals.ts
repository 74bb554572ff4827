import { closeSync } from 'node:fs';

/** The signals that end a server in order: SIGHUP comes when its terminal is closed. */
const stopSignals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * Calls back at the first of these signals. More of them change nothing: npm passes a Ctrl-C on to a process that has had
 * it from the terminal already. SIGUSR2, which reloads, ends nothing in any process of the server.
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
 * Ends this process after an ordered stop. Node 20 crashes at its end when it cannot reset a terminal that is gone, and
 * leaves one alone whose file descriptors are closed.
 * @param why the signal that it has been told to stop by
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
