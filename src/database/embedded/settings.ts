import type { EmbeddedLimits } from './limits.ts';

/**
 * The settings with which the embedded PostgreSQL is started, each with its reason. They are passed on the command
 * line, so they override what an older version of this server wrote into the data folder.
 */
const SETTINGS: ReadonlyArray<readonly [name: string, value: string, why: string]> = [
  ['shared_buffers', '128MB', 'Recent chunks are what is read back; the rest stays in the page cache of the system.'],
  ['max_connections', '200', 'Room for the pools of many workers, some commands and an operator with psql.'],
  ['max_wal_size', '4GB', 'A burst of ingest should not force checkpoints. A small disk has less (`walSizeFor`).'],
  ['max_slot_wal_keep_size', '4GB', 'A slot that somebody made and forgot would keep the log until the disk is full.'],
  ['archive_mode', 'off', 'As above, for an archive command that fails.'],
  ['checkpoint_timeout', '15min', 'As above, for slow and steady ingest.'],
  ['wal_compression', 'off', 'These binaries have pglz only, which costs more time than the float arrays give back.'],
  [
    'wal_init_zero',
    'off',
    'Filling each new file of the log with zeroes, 16 MB, held up every commit for 60 ms; nothing is less durable without.',
  ],
  ['jit', 'off', 'Our statements are short; compiling them costs more than running them.'],
  ['max_parallel_workers_per_gather', '0', 'Parallel plans need /dev/shm, which containers keep at 64 MB.'],
  ['timezone', 'UTC', 'The answer to a query must not depend on where the machine stands.'],
  ['log_timezone', 'UTC', 'So that postgres.log and the log of the server can be laid side by side.'],
  ['log_line_prefix', '%m [%p] ', 'Time with milliseconds and process id are enough: there is one database.'],
];

/** What the delivery contract depends on: a 2xx promises that a power cut loses nothing. */
const DURABLE: ReadonlyArray<readonly [name: string, value: string]> = [
  ['fsync', 'on'],
  ['full_page_writes', 'on'],
  ['synchronous_commit', 'on'],
];

/** Keeps other users and other machines out; the code that connects depends on it. */
const REACHED_BY: ReadonlyArray<readonly [name: string, value: string]> = [
  ['listen_addresses', '127.0.0.1'],
  // A socket path ends at 107 bytes and DATA_DIR may be longer, so there is no socket at all.
  ['unix_socket_directories', ''],
];

/** The setting max_wal_size for a disk of this size, which log and data share. */
export function walSizeFor(diskBytes: number, limits: Pick<EmbeddedLimits, 'walBytesMax' | 'walBytesMin'>): string {
  const bytes = Math.min(limits.walBytesMax, Math.max(limits.walBytesMin, diskBytes / 16));
  return `${Math.floor(bytes / 1024 ** 2)}MB`;
}

/**
 * The `-c name=value` arguments for `postgres`.
 *
 * @param overrides settings of the caller, which override the defaults above
 * @throws Error when an override changes durability or who can connect
 */
export function settingsArguments(port: number, overrides: Record<string, string> = {}): string[] {
  const settings = new Map<string, string>(SETTINGS.map(([name, value]) => [name, value]));
  const fixed = new Map<string, string>([...DURABLE, ...REACHED_BY, ['port', String(port)]]);
  for (const [name, value] of Object.entries(overrides)) {
    if (fixed.has(name.toLowerCase())) {
      throw new Error(`the embedded PostgreSQL keeps ${name} as it is; ${name}=${value} is not accepted`);
    }
    settings.set(name.toLowerCase(), value);
  }
  return [...settings, ...fixed].flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}
