import { constants } from 'node:os';
import { onStopSignal } from '../process/signals.ts';

/**
 * A signal that is aborted when the command is stopped (SIGTERM, SIGINT, SIGHUP). The exit code is then that of the
 * signal.
 */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  onStopSignal((signal) => {
    process.exitCode = 128 + constants.signals[signal];
    stop.abort(new Error(`Stopped by ${signal}.`));
  });
  return stop.signal;
}
