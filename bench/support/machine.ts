import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, tmpdir, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { median } from './rounds.ts';

export interface Machine {
  processor: string;
  cores: number;
  memoryGb: number;
  system: string;
  node: string;
  workers: string;
  /** Median ms to write and sync 8 KB where the databases are. Below 0.1 ms the disk only claims to have synced. */
  syncMs: number;
  /** The load average of the machine when the bench began. */
  loadBefore: number;
  generator: string;
  /** Requests/s of the generator against a server that discards them, and its own processor time for each in µs. */
  generatorPerSecond: number;
  generatorMicroseconds: number;
}

export function describeMachine(): Omit<Machine, 'generator' | 'generatorPerSecond' | 'generatorMicroseconds'> {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    system: `${type()} ${release()}`,
    node: process.version,
    workers: process.env.WORKERS ?? 'default',
    syncMs: measureSync(),
    loadBefore: Math.round((loadavg()[0] as number) * 100) / 100,
  };
}

function measureSync(): number {
  const path = join(tmpdir(), `metrology-bench-sync-${process.pid}`);
  const file = openSync(path, 'w');
  const block = Buffer.alloc(8_192, 1);
  const times = Array.from({ length: 40 }, (_, i) => {
    const startedAt = performance.now();
    writeSync(file, block, 0, block.length, i * block.length);
    fdatasyncSync(file);
    return performance.now() - startedAt;
  });
  closeSync(file);
  rmSync(path);
  return Math.round(median(times) * 1_000) / 1_000;
}
