import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { residentBytes } from '../../../bench/support/processes.ts';
import { isPostgresOf, readPostmasterFile } from '../../../src/database/embedded/processes.ts';
import { isRunning } from '../../support/built-server.ts';

/** Kills all processes of the PostgreSQL on a data folder with SIGKILL, the postmaster first, and waits until they are gone. */
export async function killPostgres(clusterDir: string): Promise<void> {
  const postmaster = postmasterPid(clusterDir);
  const pids = [postmaster, ...childrenOf(postmaster)];
  for (const pid of pids) killNow(pid);
  while (pids.some(isRunning)) await sleep(2);
}

/** Sends a signal to all processes of the PostgreSQL on a data folder, the postmaster first, so that it starts no more. */
export function signalPostgres(clusterDir: string, name: NodeJS.Signals): void {
  const postmaster = postmasterPid(clusterDir);
  for (const pid of [postmaster, ...childrenOf(postmaster)]) send(pid, name);
}

/** @throws when none runs there: one that just starts has a file without an id yet, and 0 would be our own process group */
export function postmasterPid(clusterDir: string): number {
  const pid = readPostmasterFile(clusterDir)?.pid;
  if (pid === undefined || !isPostgresOf(clusterDir, pid)) throw new Error(`no PostgreSQL runs in ${clusterDir}`);
  return pid;
}

export const killNow = (pid: number) => send(pid, 'SIGKILL');

function send(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false;
      }
    });
}

/** Resident memory of a server, or of another Node program, in MiB; 0 when it has ended. */
export const residentMiB = (pid: number) => residentBytes(pid) / 1024 ** 2;

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
