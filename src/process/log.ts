import { type Logger, pino } from 'pino';

/**
 * The log of a process: JSON lines on standard error. A log that cannot be written, as when its terminal has been closed or
 * its disk is full, ends no server: what is stored matters more. The same goes for what is said on standard output.
 */
export function openLog(level: string): Logger {
  const destination = pino.destination({ fd: 2, sync: true });
  destination.on('error', () => {});
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  return pino({ level }, destination);
}
