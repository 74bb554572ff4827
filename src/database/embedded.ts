/**
 * The PostgreSQL that comes with the server, for use without a DATABASE_URL. Guarantees:
 * - one server per DATA_DIR, and one PostgreSQL per data folder;
 * - what was committed survives a kill of this server, of PostgreSQL, or of both; the next start works without help;
 * - a PostgreSQL that dies is restarted at the same address.
 * It installs no signal handlers: its caller calls `stop()` in an ordered shutdown.
 */
import { accessSync, constants, realpathSync, statfsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../lib/make-folder.ts';
import { findPostgresBinaries, type PostgresBinaries } from './embedded/binaries.ts';
import {
  clusterFolder,
  clusterOwner,
  handOver,
  makeCluster,
  makePassword,
  readPassword,
  refuseOtherVersion,
  rememberMove,
  replacePassword,
} from './embedded/cluster.ts';
import { type EmbeddedLimits, embeddedLimits } from './embedded/limits.ts';
import { lockDataDir } from './embedded/lock.ts';
import type { EmbeddedLog } from './embedded/log.ts';
import {
  connectionStringFor,
  type PostmasterOptions,
  portAsBefore,
  startOnFreePort,
  tryConnection,
} from './embedded/postmaster.ts';
import {
  clearOldBackends,
  isPostgresOf,
  mendPostmasterFile,
  readPostmasterFile,
  stopPostmaster,
} from './embedded/processes.ts';
import { createRoom } from './embedded/room.ts';
import { settingsArguments, walSizeFor } from './embedded/settings.ts';
import { binariesFor, chooseRunAs, otherAccount, type RunAs } from './embedded/user.ts';
import { watchPostmaster } from './embedded/watch.ts';

export interface EmbeddedOptions {
  /** Created with mode 0700 when it does not exist. */
  dataDir: string;
  log: EmbeddedLog;
  /** Folder above the `bin` of the PostgreSQL to run; by default the one that comes as a package. */
  binariesDir?: string | undefined;
  /** PostgreSQL settings that override the defaults; those that durability depends on are refused. */
  settings?: Record<string, string>;
  /** How long a fast shutdown may take before an immediate one follows. Default 20,000. */
  stopWaitMsMax?: number;
  /** Where root copies files that another user must reach, if needed. Default /var/lib/metrology-server. */
  relocationRoot?: string;
  /** Bounds that differ from `embeddedLimits`. */
  limits?: Partial<EmbeddedLimits>;
  /** Names a TCP port that looks free; called again when that port turns out to be taken. */
  choosePort?: () => Promise<number>;
}

export interface EmbeddedPostgres {
  /** `postgresql://…` with the password; stays valid when PostgreSQL is started again. */
  connectionString: string;
  port: number;
  /** True when this start created the database. */
  firstStart: boolean;
  /** Where the cluster really is: root may have had to move it out of DATA_DIR. */
  dataDir: string;
  /** As PostgreSQL calls it, for example `18.4`. */
  release: string;
  /** Stops PostgreSQL and releases DATA_DIR. A second call returns the same promise. */
  stop(): Promise<void>;
}

/**
 * Starts the embedded PostgreSQL of DATA_DIR and returns when its database accepts connections.
 *
 * @throws Error with a sentence that says what to do: another server holds DATA_DIR (DataDirInUse), the data are of
 * another major version, there are no binaries for this platform, or PostgreSQL does not start (with the end of its
 * log)
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const stopWaitMsMax = options.stopWaitMsMax ?? 20_000;
  settingsArguments(0, options.settings); // A setting that is refused should leave nothing behind.
  const shipped = findPostgresBinaries(options.binariesDir);
  const dataDir = openDataDir(options.dataDir);
  const lock = await lockDataDir(dataDir, options.log);
  try {
    const prepared = await prepare({ ...options, dataDir, stopWaitMsMax }, shipped);
    const { firstStart, postmasterOptions } = prepared;
    const room = createRoom(postmasterOptions);
    // A PostgreSQL that stopped because of a full disk would not start again without space.
    room.giveWhenFull();
    const first = await startOnFreePort(postmasterOptions, new AbortController().signal);
    const watch = watchPostmaster(first, postmasterOptions, room);
    let stopped: Promise<void> | undefined;
    return {
      connectionString: first.connectionString,
      port: first.port,
      firstStart,
      dataDir: postmasterOptions.clusterDir,
      release: shipped.release,
      stop() {
        stopped ??= watch.stop().finally(() => lock.release());
        return stopped;
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/**
 * The address of the embedded PostgreSQL that already runs for this DATA_DIR, for commands beside a running server;
 * undefined when none runs. Waits up to ten seconds for one that is just starting.
 */
export async function runningEmbeddedPostgres(dataDir: string): Promise<string | undefined> {
  const folder = resolve(dataDir);
  const password = readPassword(folder);
  for (let attempt = 0; password !== undefined && attempt < 100; attempt++) {
    const clusterDir = clusterFolder(realpathSync(folder));
    const found = readPostmasterFile(clusterDir);
    if (!found || !isPostgresOf(clusterDir, found.pid)) return undefined;
    const connectionString = connectionStringFor(found.port, password);
    if ((await tryConnection(connectionString)) === undefined) return connectionString;
    await sleep(100);
  }
  return undefined;
}

interface Prepared {
  firstStart: boolean;
  postmasterOptions: PostmasterOptions;
}

/** Creates the folder if needed. @returns its real path */
function openDataDir(dataDir: string): string {
  try {
    makeFolder(dataDir, 0o700);
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
    return realpathSync(dataDir);
  } catch (error) {
    const why = `DATA_DIR ${dataDir} cannot be used by user id ${process.getuid?.()} (${(error as Error).message})`;
    throw new Error(`${why}: set DATA_DIR to a folder of that user, or run the server as its owner`, { cause: error });
  }
}

async function prepare(
  options: EmbeddedOptions & { stopWaitMsMax: number },
  shipped: PostgresBinaries,
): Promise<Prepared> {
  const { dataDir, log, stopWaitMsMax } = options;
  const found = clusterFolder(dataDir);
  refuseOtherVersion(dataDir, found, shipped.major);
  await stopOldPostmaster(found, stopWaitMsMax, log);
  const { clusterDir, runAs, binaries } = await chooseUser(options, found, shipped);

  const limits = { ...embeddedLimits, ...options.limits };
  const firstStart = clusterOwner(clusterDir) === undefined;
  const known = readPassword(dataDir);
  const password = known ?? makePassword(dataDir);
  if (firstStart) {
    await makeCluster(binaries, runAs, clusterDir, password);
    log.info({ path: clusterDir, version: binaries.release }, 'made a new database');
  } else if (known === undefined) {
    mendPostmasterFile(clusterDir);
    await replacePassword(binaries, runAs, clusterDir, password);
    log.warn({}, 'the password file of the embedded PostgreSQL was lost; it has a new one');
  }
  if (clusterDir !== found) rememberMove(dataDir, clusterDir);
  const postmasterOptions: PostmasterOptions = {
    postgres: join(binaries.native, 'bin', 'postgres'),
    clusterDir,
    runAs,
    password,
    settings: { max_wal_size: walSizeFor(diskBytesOf(clusterDir), limits), ...options.settings },
    limits,
    logFile: join(dataDir, 'postgres.log'),
    log,
    stopWaitMsMax,
    choosePort: options.choosePort ?? portAsBefore(clusterDir),
  };
  return { firstStart, postmasterOptions };
}

function diskBytesOf(folder: string): number {
  const { blocks, bsize } = statfsSync(folder);
  return blocks * bsize;
}

/**
 * Stops a PostgreSQL that outlived its server, instead of taking it over. So every PostgreSQL that we watch is our own
 * child, whose exit we are notified of, and has the settings of this release. We hold the lock, so nobody else uses it.
 */
async function stopOldPostmaster(clusterDir: string, stopWaitMsMax: number, log: EmbeddedLog): Promise<void> {
  const old = readPostmasterFile(clusterDir);
  if (!old) return;
  if (isPostgresOf(clusterDir, old.pid)) {
    log.warn({ postgres: old.pid }, 'a PostgreSQL is left from a server that was killed; stopping it');
    await stopPostmaster(old.pid, stopWaitMsMax, () => isPostgresOf(clusterDir, old.pid));
  }
  await clearOldBackends(clusterDir);
}

interface ChosenUser {
  clusterDir: string;
  runAs: RunAs;
  binaries: PostgresBinaries;
}

async function chooseUser(options: EmbeddedOptions, found: string, shipped: PostgresBinaries): Promise<ChosenUser> {
  const { dataDir, log } = options;
  const root = options.relocationRoot ?? '/var/lib/metrology-server';
  const runAs = await chooseRunAs(shipped, found, clusterOwner(found));
  if (runAs?.kind === 'user') return { clusterDir: found, runAs, binaries: await binariesFor(runAs, shipped, root) };
  if (runAs) return { clusterDir: found, runAs, binaries: shipped };

  const account = otherAccount();
  const user: RunAs = { kind: 'user', ...account };
  const binaries = await binariesFor(user, shipped, root);
  const clusterDir = await handOver(dataDir, found, account, binaries, root);
  log.warn(
    { user: account.name, database: clusterDir, binaries: binaries.native },
    `root may not use "unshare --user" here, so PostgreSQL runs as ${account.name}, with its data in ${clusterDir}`,
  );
  return { clusterDir, runAs: user, binaries };
}
