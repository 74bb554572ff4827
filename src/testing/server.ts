import { existsSync, readdirSync, realpathSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { findPostgresBinaries } from '../database/embedded/binaries.ts';
import { lockDataDir } from '../database/embedded/lock.ts';
import { binariesFor, chooseRunAs, otherAccount } from '../database/embedded/user.ts';
import { makeFolder } from '../lib/make-folder.ts';
import { packageVersion } from '../lib/package-info.ts';
import { newServerFolder, removeFolder, removeLeftOvers, sharedFolder } from './folders.ts';
import { testingLimits } from './limits.ts';
import { startOnMadeCluster } from './made-cluster.ts';
import { addressesIn, type TestPostgres } from './postgres.ts';
import type { ReadyLine } from './ready-line.ts';
import type { ServeOptions } from './serve.ts';

export interface StartedServer {
  line: ReadyLine;
  /** Settles with a sentence when the server cannot continue. */
  failed: Promise<string>;
  /** Ends everything at once. Its folder is removed, unless it is to be kept. */
  stop(): Promise<void>;
}

export interface TestServerOptions extends ServeOptions {
  /** A folder to use and keep. By default the server has a temporary folder, which is removed. */
  keep: string | undefined;
  cacheDir: string;
}

/** Starts a server for integration tests on loopback, and returns once it answers. */
export async function startServerForTests(options: TestServerOptions): Promise<StartedServer> {
  const { keep, log } = options;
  const limits = { ...testingLimits, ...options.limits };
  const folder = keep === undefined ? newServerFolder() : emptyFolder(keep);
  const lock = await lockDataDir(folder, log);
  const dispose = () => (keep === undefined ? removeFolder(folder) : lock.release());
  let starting: Promise<TestPostgres> | undefined;
  const end = async () => {
    const postgres = await starting?.catch(() => undefined);
    await postgres?.stop(keep === undefined ? 'at once' : 'clean');
    dispose();
  };
  try {
    const run = await runAs(folder);
    const { postgresStartMsMax: startMsMax, postgresStopMsMax: stopMsMax } = limits;
    starting = startOnMadeCluster({ ...run, cacheDir: options.cacheDir, folder, startMsMax, stopMsMax });
    starting.catch(() => {}); // It is awaited below.
    // Loading and building the HTTP server takes as long as the start of PostgreSQL, which runs meanwhile.
    const { prepare } = await import('./serve.ts');
    const prepared = await prepare(options, addressesIn(folder));
    const postgres = await starting;
    const { app, first } = await prepared.serve();
    // Not awaited: if a folder's owner is in another container, it may take seconds to find out whether it is alive.
    removeLeftOvers(limits.ownerlessMsMax).catch((error) => log.warn({ err: error }, 'old folders were not removed'));
    const { port } = app.server.address() as AddressInfo;
    return {
      line: {
        url: `http://127.0.0.1:${port}`,
        api_key: first.api_key,
        organization_id: first.organization_id,
        pid: process.pid,
        data_dir: folder,
        version: packageVersion,
        seed: options.seed,
        durable: false,
      },
      failed: postgres.exited.then((how) => `PostgreSQL has ended (${how})`),
      stop: () => {
        app.server.close();
        app.server.closeAllConnections();
        return end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

async function runAs(folder: string) {
  const shipped = findPostgresBinaries();
  const chosen = await chooseRunAs(shipped, `${folder}/postgres`, undefined);
  if (chosen) return { runAs: chosen, binaries: shipped };
  const user = { kind: 'user', ...otherAccount() } as const;
  return { runAs: user, binaries: await binariesFor(user, shipped, sharedFolder()) };
}

/** @throws Error with a sentence when the folder is not empty */
function emptyFolder(folder: string): string {
  const path = resolve(folder);
  if (existsSync(path) && readdirSync(path).length > 0) {
    throw new Error(`--keep ${folder} holds something already: name a folder that is empty or not there`);
  }
  makeFolder(path, 0o700);
  return realpathSync(path);
}
