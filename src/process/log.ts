import { createRequire } from 'node:module';
import { isatty } from 'node:tty';
import { type DestinationStream, type Logger, pino } from 'pino';

/** The form of a log: JSON lines, text for people, or `auto`: text on a terminal and JSON elsewhere. */
export type LogFormat = 'auto' | 'json' | 'text';

/**
 * Opens the log of a process, by default on standard error. An error of writing to it, such as a closed terminal or a
 * full disk, is ignored: storing data matters more than the log. The same holds for standard output.
 * @param descriptor of the file that the log is written to
 */
export function openLog(level: string, descriptor = 2, format: LogFormat = 'json'): Logger {
  const isText = format === 'text' || (format === 'auto' && isatty(descriptor));
  const destination = isText ? openText(descriptor) : pino.destination({ fd: descriptor, sync: true });
  destination.on('error', () => {});
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  return pino({ level, formatters: { log: besideOwnNames } }, destination);
}

type Destination = DestinationStream & { on(event: 'error', listener: (error: Error) => void): unknown };

/** Writes a line for people, with its fields on the lines below. In colors on a terminal, unless NO_COLOR is set. */
function openText(descriptor: number): Destination {
  // Loaded only here, so that a start without it is faster.
  const pretty = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty');
  return pretty({
    destination: descriptor,
    sync: true,
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
