import { createRequire } from 'node:module';
import { isatty } from 'node:tty';
import { type DestinationStream, type Logger, pino } from 'pino';

/** How a log is written: as JSON lines; as text for people; or as text where somebody looks at it, and JSON elsewhere. */
export type LogFormat = 'auto' | 'json' | 'text';

/**
 * The log of a process, on standard error. One that cannot be written, as when its terminal has been closed or its disk is full,
 * ends no server: what is stored matters more. The same goes for what is said on standard output.
 * @param descriptor of the file that it is written to
 */
export function openLog(level: string, descriptor = 2, format: LogFormat = 'json'): Logger {
  const isText = format === 'text' || (format === 'auto' && isatty(descriptor));
  const destination = isText ? openText(descriptor) : pino.destination({ fd: descriptor, sync: true });
  destination.on('error', () => {});
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  return pino({ level, formatters: { log: besideOwnNames } }, destination);
}

type Destination = DestinationStream & { on(event: 'error', listener: (error: Error) => void): unknown };

/** A line for people, with its fields on the lines below; in colors on a terminal, unless NO_COLOR is set. */
function openText(descriptor: number): Destination {
  // Loaded only where it is used: it would be a part of every start.
  const pretty = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty');
  return pretty({
    destination: descriptor,
    sync: true,
    colorize: isatty(descriptor) && pretty.isColorSupported,
    translateTime: 'SYS:yyyy-mm-dd HH:MM:ss.l',
    ignore: 'pid,hostname',
  });
}

/** What pino writes into every line by itself. */
const ownNames = ['level', 'time', 'pid', 'hostname'];

/** A field of such a name would stand in its line twice, and most readers would take the wrong one. It gets a `_` behind it. */
function besideOwnNames(fields: Record<string, unknown>): Record<string, unknown> {
  if (!ownNames.some((name) => Object.hasOwn(fields, name))) return fields;
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [ownNames.includes(name) ? `${name}_` : name, value]),
  );
}
