import { readFileSync } from 'node:fs';
import type { Ground } from './ground.ts';

/** @returns what ends the watch and tells by how many MiB the memory of the server has grown since at most */
export function watchMemory(ground: Ground): () => number {
  const pids = pidsOf(ground.site.pid());
  const now = () => pids.reduce((sum, pid) => sum + residentMiB(pid), 0);
  const before = now();
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, now());
  }, 20);
  return () => {
    clearInterval(timer);
    return Math.max(most, now()) - before;
  };
}

function pidsOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  return [pid, ...children.map(Number)];
}

const residentMiB = (pid: number) =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024;
