import { type Logger, pino } from 'pino';

/**
 * The log of a process: JSON lines on standard error. A log that cannot be written, as when its terminal has been closed or
 * its disk is full, ends no server: what is stored matters more. The same goes for what is said on standard output.
 * @param descriptor of the file that it is written to
 */
export function openLog(level: string, descriptor = 2): Logger {
  const destination = pino.destination({ fd: descriptor, sync: true });
  destination.on('error', () => {});
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  return pino({ level, formatters: { log: besideOwnNames } }, destination);
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
