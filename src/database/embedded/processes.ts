import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, type Stats, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The content of `postmaster.pid` in a data folder. The file stays when its process is killed. */
export interface PostmasterFile {
  pid: number;
  port: number;
}

/**
 * A text that differs between two processes that had the same process id at different times; undefined when no such
 * process is alive. A zombie counts as dead.
 */
export function processBirth(pid: number): string | undefined {
  if (process.platform !== 'linux') return psColumn(pid, 'lstart')?.replaceAll(/\W+/g, '_');
  try {
    // The name in the second field may contain blanks and brackets, so fields are counted after the last bracket.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

export function readPostmasterFile(clusterDir: string): PostmasterFile | undefined {
  return parsePostmasterFile(readIfThere(join(clusterDir, 'postmaster.pid')) ?? '');
}

function parsePostmasterFile(text: string): PostmasterFile | undefined {
  const lines = text.split('\n');
  // A negative id is that of `postgres --single`.
  const pid = Math.abs(Number(lines[0]));
  return Number.isInteger(pid) && pid > 0 ? { pid, port: Number(lines[3]) } : undefined;
}

/** Whether this process is a PostgreSQL that works on this data folder, and not a later process with the same id. */
export function isPostgresOf(clusterDir: string, pid: number): boolean {
  const command = commandOf(pid);
  if (command === undefined || !/^postgres\b/.test(basename(command[0] ?? ''))) return false;
  return command.includes(clusterDir) || worksIn(pid, statSync(clusterDir, { throwIfNoEntry: false }));
}

/**
 * PostgreSQL refuses to start while the process id in its pid file is alive, whatever process that is now, even a
 * zombie. It ignores the id of its own parent. So if the id is not that of a PostgreSQL any more, it is replaced by
 * ours. The rest of the file stays: PostgreSQL uses it to check whether old backends still hold the shared memory. It
 * also refuses an empty file. A PostgreSQL leaves one if it is killed between creating and writing the file, when it
 * has no backends yet; so an empty file is removed.
 */
export function mendPostmasterFile(clusterDir: string): void {
  const path = join(clusterDir, 'postmaster.pid');
  const text = readIfThere(path);
  if (text === undefined) return;
  if (text === '') rmSync(path, { force: true });
  const found = parsePostmasterFile(text);
  if (!found || isPostgresOf(clusterDir, found.pid)) return;
  writeFileSync(path, text.replace(/^[^\n]*/, String(process.pid)));
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/**
 * Stops the PostgreSQL process: a fast shutdown within `waitMsMax`, then an immediate one (its next start recovers from
 * the write-ahead log), then SIGKILL. Returns when `isAlive` returns false.
 */
export async function stopPostmaster(pid: number, waitMsMax: number, isAlive: () => boolean): Promise<NodeJS.Signals> {
  const ladder: [NodeJS.Signals, number][] = [
    ['SIGINT', waitMsMax],
    ['SIGQUIT', Math.min(waitMsMax, 5_000)],
    ['SIGKILL', 5_000],
  ];
  for (const [signal, waitMs] of ladder) {
    signalProcess(pid, signal);
    if (await until(() => !isAlive(), waitMs)) return signal;
  }
  throw new Error(`PostgreSQL (process ${pid}) is still there after SIGKILL`);
}

/**
 * Waits until no backend of this data folder is left from a postmaster that died, since backends hold the shared
 * memory. An idle backend ends at once by itself. One in a long query ends only after it, so it gets the signal to
 * quit, as the postmaster would send it. Where /proc does not show them (macOS, some containers), this returns at once;
 * then PostgreSQL's own check fails the start, which is retried.
 */
export async function clearOldBackends(clusterDir: string): Promise<number> {
  const before = backendsOf(clusterDir).length;
  if (await until(() => backendsOf(clusterDir).length === 0, 1_000)) return before;
  for (const signal of ['SIGQUIT', 'SIGKILL'] as const) {
    for (const pid of backendsOf(clusterDir)) signalProcess(pid, signal);
    if (await until(() => backendsOf(clusterDir).length === 0, 5_000)) return before;
  }
  throw new Error(`old PostgreSQL processes of ${clusterDir} do not end: ${backendsOf(clusterDir).join(', ')}`);
}

/** Checks the condition every 10 ms, for at most `waitMsMax`. @returns its last value */
export async function until(condition: () => boolean, waitMsMax: number): Promise<boolean> {
  const end = performance.now() + waitMsMax;
  while (!condition()) {
    if (performance.now() >= end) return false;
    await sleep(10);
  }
  return true;
}

function backendsOf(clusterDir: string): number[] {
  const folder = statSync(clusterDir, { throwIfNoEntry: false });
  if (process.platform !== 'linux' || !folder) return [];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  // A process without a command line is about to end, and may hold the shared memory until then.
  const ours = (pid: number) => commandOf(pid) === undefined || isPostgresOf(clusterDir, pid);
  return pids.map(Number).filter((pid) => worksIn(pid, folder) && ours(pid));
}

function worksIn(pid: number, folder: Stats | undefined): boolean {
  if (process.platform !== 'linux' || !folder) return false;
  try {
    const at = statSync(`/proc/${pid}/cwd`);
    return at.ino === folder.ino && at.dev === folder.dev;
  } catch (error) {
    if (isGone(error) || isForbidden(error)) return false;
    throw error;
  }
}

function commandOf(pid: number): string[] | undefined {
  if (process.platform !== 'linux') return psColumn(pid, 'command')?.split(' ');
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return command === '' ? undefined : command.split('\0');
  } catch (error) {
    if (isGone(error) || isForbidden(error)) return undefined;
    throw error;
  }
}

function psColumn(pid: number, column: string): string | undefined {
  try {
    const output = execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' });
    return output.trim() || undefined;
  } catch (error) {
    // ps exits with 1 when there is no such process.
    if ((error as { status?: number }).status === 1) return undefined;
    throw error;
  }
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

function isGone(error: unknown): boolean {
  return ['ENOENT', 'ESRCH', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
}

function isForbidden(error: unknown): boolean {
  return ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '');
}
