import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Running {
  child: ChildProcess;
  pid: number;
  output(): string;
  /** Sends SIGTERM, and SIGKILL when the program has not ended within ten seconds. @returns whether SIGTERM was enough */
  stop(): Promise<boolean>;
}

/** The flags of Node in the script `start` (`exec node FLAGS dist/main.js`). Every measured server in Node gets them. */
export const nodeFlags: string[] = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  .scripts.start.split(' ')
  .slice(2, -1);

/** Starts a program with these settings. Of the environment of the bench it gets only PATH, HOME and LANG. */
export function startProcess(command: string, args: string[], settings: Record<string, string>): Running {
  const { PATH, HOME, LANG } = process.env;
  const child = spawn(command, args, { env: { PATH, HOME, LANG, ...settings }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-20_000);
    });
  }
  const ended = new Promise<true>((resolve) => {
    child.once('exit', () => resolve(true));
    child.once('error', (error) => {
      output += error.message;
      resolve(true);
    });
  });
  return {
    child,
    pid: child.pid ?? 0,
    output: () => output,
    async stop() {
      child.kill('SIGTERM');
      const timer = new AbortController();
      const late = sleep(10_000, false as const, { signal: timer.signal }).catch(() => false as const);
      const byItself = await Promise.race([ended, late]);
      timer.abort();
      if (!byItself) child.kill('SIGKILL');
      await ended;
      return byItself;
    },
  };
}

/** Resolves when a URL answers with a 2xx. @throws with the output of the program when it ends before, or after a minute */
export async function untilReady(running: Running, url: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const answer = await fetch(url).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok) return;
    if (running.child.exitCode !== null || running.pid === 0 || performance.now() > deadline) {
      await running.stop();
      throw new Error(`${url} does not answer:\n${running.output()}`);
    }
    await sleep(20);
  }
}

export function isInstalled(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** Seconds of processor time of a process and its descendants, by name of the program; empty without /proc. */
export function cpuSeconds(pid: number): Record<string, number> {
  const seconds: Record<string, number> = {};
  for (const one of [pid, ...descendants(pid)]) {
    const text = readProc(`${one}/stat`);
    const name = /\((.*)\)/.exec(text)?.[1];
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // User and system time of the process and of its ended children, in ticks of 10 ms.
    const ticks = [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field] ?? 0), 0);
    if (name !== undefined) seconds[name] = (seconds[name] ?? 0) + ticks / 100;
  }
  return seconds;
}

/** Resident bytes of a process and its descendants that run Node; 0 without /proc. */
export function residentBytes(pid: number): number {
  return memoryOf(pid, 'VmRSS');
}

/** The sum of the highest resident bytes of the same processes. */
export function peakBytes(pid: number): number {
  return memoryOf(pid, 'VmHWM');
}

function memoryOf(pid: number, name: 'VmRSS' | 'VmHWM'): number {
  const kibibytes = new RegExp(`${name}:\\s+(\\d+) kB`);
  return nodePrograms(pid)
    .map((one) => Number(kibibytes.exec(readProc(`${one}/status`))?.[1] ?? 0) * 1_024)
    .reduce((sum, one) => sum + one, 0);
}

/**
 * Proportional and resident bytes of a process and its descendants; 0 without /proc. Proportional: a page that several
 * processes share is divided among them.
 */
export function sharedOutBytes(pid: number): { pss: number; rss: number } {
  const texts = [pid, ...descendants(pid)].map((one) => readProc(`${one}/smaps_rollup`));
  const sum = (pattern: RegExp) => texts.reduce((all, text) => all + Number(pattern.exec(text)?.[1] ?? 0) * 1_024, 0);
  return { pss: sum(/^Pss:\s+(\d+) kB/m), rss: sum(/^Rss:\s+(\d+) kB/m) };
}

/** A process and its descendants that run Node. For a server: first the one that holds its sockets, then those that serve. */
export function nodePrograms(pid: number): number[] {
  return [pid, ...descendants(pid).filter((one) => programOf(one) === programOf(process.pid))];
}

function programOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}

function descendants(pid: number): number[] {
  const children = readProc(`${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    // The process has ended meanwhile, or this system has no /proc.
    return '';
  }
}
