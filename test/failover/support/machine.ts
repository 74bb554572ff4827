import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { accountOf, asAccount } from './account.ts';

/** A database machine: a member of etcd, Patroni, and the PostgreSQL that Patroni runs. All end together, as when the power fails. */
export interface Machine {
  name: string;
  address: string;
  dataDir: string;
  start(): void;
  /** SIGKILL to all that runs there, and waits until it is gone. */
  kill(): Promise<void>;
  /** SIGSTOP to all that runs there: TCP still acknowledges, nothing answers. */
  freeze(): Promise<void>;
  thaw(): void;
  /** To one of the programs alone, in all its processes. */
  signal(program: 'postgres' | 'etcd', name: NodeJS.Signals): void;
  /** The last lines that Patroni wrote. */
  log(): string;
}

export interface MachineOptions {
  name: string;
  address: string;
  /** Becomes the home of all its files. */
  folder: string;
  /** The whole files of deploy/high-availability, with this machine's addresses and paths. */
  etcdConfig: string;
  patroniConfig: string;
}

export function createMachine({ name, address, folder, etcdConfig, patroniConfig }: MachineOptions): Machine {
  const account = accountOf();
  for (const path of [folder, join(folder, 'etcd'), join(folder, 'postgresql')]) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if (account !== undefined) chownSync(path, account.uid, account.gid);
  }
  const files = { etcd: join(folder, 'etcd.yml'), patroni: join(folder, 'patroni.yml') };
  for (const [file, text] of [
    [files.etcd, etcdConfig],
    [files.patroni, patroniConfig],
  ] as const) {
    writeFileSync(file, text, { mode: 0o600 });
    if (account !== undefined) chownSync(file, account.uid, account.gid);
  }
  let children: ChildProcess[] = [];
  let log = '';
  const run = (program: string, args: string[], keep: boolean) => {
    const [file = '', ...rest] = asAccount(program, args);
    const child = spawn(file, rest, {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', HOME: folder },
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        if (keep) log = (log + text).slice(-200_000);
      });
    }
    child.on('error', (error) => {
      log += `${program}: ${error.message}\n`;
    });
    children.push(child);
  };

  return {
    name,
    address,
    dataDir: join(folder, 'postgresql'),
    start() {
      children = [];
      run('/usr/bin/etcd', ['--config-file', files.etcd], false);
      run('/usr/bin/patroni', [files.patroni], true);
    },
    async kill() {
      for (let pids = processesOf(folder); pids.length > 0; pids = processesOf(folder)) {
        signalAll(pids, 'SIGKILL');
        await sleep(20);
      }
    },
    async freeze() {
      // Whoever still runs may start another one, so until nobody is left that does.
      for (let running = awake(folder); running.length > 0; running = awake(folder)) {
        signalAll(running, 'SIGSTOP');
        await sleep(20);
      }
    },
    thaw: () => signalAll(processesOf(folder), 'SIGCONT'),
    signal(program, name) {
      const isOf = { postgres: /^(\S*\/)?postgres\b/, etcd: /^\S*\/etcd / }[program];
      signalAll(
        processesOf(folder).filter((pid) => isOf.test(commandOf(pid))),
        name,
      );
    },
    log: () =>
      log
        .split('\n')
        // Said every two seconds by a machine that has nothing to say.
        .filter((line) => !line.includes('no action. I am'))
        .slice(-60)
        .join('\n'),
  };
}

function signalAll(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

const awake = (folder: string) => processesOf(folder).filter((pid) => stateOf(pid) !== 'T');

/** Whatever was started with a path in this folder, or works in it; no zombies. */
function processesOf(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && isIn(pid, folder) && stateOf(pid) !== 'Z');
}

function isIn(pid: number, folder: string): boolean {
  if (commandOf(pid).includes(folder)) return true;
  try {
    return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
  } catch {
    return false;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** The letter of /proc: T is stopped, Z a zombie. */
function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat[stat.lastIndexOf(')') + 2] ?? 'Z';
  } catch {
    return 'Z';
  }
}
