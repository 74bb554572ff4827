import { createRequire } from 'node:module';
import { isatty } from 'node:tty';
import { type Logger, pino } from 'pino';
import { type ProcessLimits, processLimits } from './limits.ts';
import { openLogFile } from './log-file.ts';

/** The form of a log: JSON lines, text for people, or `auto`: text on a terminal and JSON elsewhere. */
export type LogFormat = 'auto' | 'json' | 'text';

/**
 * Opens the log of a process, by default on standard error. Storing data matters more than the log, so the log never stops
 * the process: an error of writing, such as a closed terminal or a full disk, is ignored, and lines that nobody reads, as
 * of a terminal that is paused, wait in memory. The same errors of standard output are ignored.
 * @param descriptor of the file that the log is written to
 * @param limits bytes of lines that may wait; further ones are dropped and counted
 */
export function openLog(
  level: string,
  descriptor = 2,
  format: LogFormat = 'json',
  { logBytesMax }: Pick<ProcessLimits, 'logBytesMax'> = processLimits,
): Logger {
  const isText = format === 'text' || (format === 'auto' && isatty(descriptor));
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const file = openLogFile({
    descriptor,
    bytesMax: logBytesMax,
    onDropped: (dropped) =>
      log.warn({ dropped }, `lines of the log were dropped, nobody read it (logBytesMax, ${logBytesMax})`),
  });
  const textOf = isText ? formatter(descriptor) : undefined;
  const write = textOf === undefined ? file.write : (line: string) => file.write(textOf(line));
  const log = pino({ level, formatters: { log: besideOwnNames } }, { write });
  process.once('exit', file.flush);
  return log;
}

/** Formats a line for people, with its fields on the lines below. In colors on a terminal, unless NO_COLOR is set. */
function formatter(descriptor: number): (line: string) => string {
  // Loaded only here, so that a start without it is faster.
  const pretty = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty');
  return pretty.prettyFactory({
    colorize: isatty(descriptor) && pretty.isColorSupported,
    translateTime: 'SYS:yyyy-mm-dd HH:MM:ss.l',
    ignore: 'pid,hostname',
  });
}

/** The fields that pino writes into every line by itself. */
const ownNames = ['level', 'time', 'pid', 'hostname'];

/**
 * Appends `_` to a field with such a name. Otherwise the name would occur twice in a line, and most readers take the
 * wrong one.
 */
function besideOwnNames(fields: Record<string, unknown>): Record<string, unknown> {
  if (!ownNames.some((name) => Object.hasOwn(fields, name))) return fields;
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [ownNames.includes(name) ? `${name}_` : name, value]),
  );
}
