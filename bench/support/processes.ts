import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Running {
  child: ChildProcess;
  pid: number;
  output(): string;
  /** Asks it to end, and makes it when it has not within ten seconds. @returns whether it ended by itself */
  stop(): Promise<boolean>;
}

/** Those with which `npm start` runs the server, `exec node FLAGS dist/main.js`: every server in Node gets them. */
export const nodeFlags: string[] = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  .scripts.start.split(' ')
  .slice(2, -1);

/** Starts a program with these settings, and none of ours but the path. */
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

/** Comes back when a URL answers with a 2xx. @throws with the program's output when it ends before, or after a minute */
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

/** Seconds of processor time of a process and of all below it, by name of the program; empty where there is no /proc. */
export function cpuSeconds(pid: number): Record<string, number> {
  const seconds: Record<string, number> = {};
  for (const one of [pid, ...descendants(pid)]) {
    const text = readProc(`${one}/stat`);
    const name = /\((.*)\)/.exec(text)?.[1];
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // User and system time of its own and of its children that have ended, in ticks of 10 ms.
    const ticks = [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field] ?? 0), 0);
    if (name !== undefined) seconds[name] = (seconds[name] ?? 0) + ticks / 100;
  }
  return seconds;
}

/** Resident bytes of a Node program and of those that it has started; 0 where there is no /proc. */
export function residentBytes(pid: number): number {
  return memoryOf(pid, 'VmRSS');
}

/** The same, of what each has had at most. */
export function peakBytes(pid: number): number {
  return memoryOf(pid, 'VmHWM');
}

function memoryOf(pid: number, name: 'VmRSS' | 'VmHWM'): number {
  const kibibytes = new RegExp(`${name}:\\s+(\\d+) kB`);
  return nodePrograms(pid)
    .map((one) => Number(kibibytes.exec(readProc(`${one}/status`))?.[1] ?? 0) * 1_024)
    .reduce((sum, one) => sum + one, 0);
}

/** A process and those below it that run Node: of a server the one that holds its sockets, then those that serve. */
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
    // It has ended in between, or this system has no /proc.
    return '';
  }
}
