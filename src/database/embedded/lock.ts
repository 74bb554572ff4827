import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EmbeddedLog } from './log.ts';
import { processBirth } from './processes.ts';

/**
 * The lock on DATA_DIR. Guarantees that at most one live server holds it.
 *
 * Each server first creates a claim, a file whose name identifies its process, and then looks for the claims of others.
 * If two come at once, at least one of them sees the other. A claim is never taken over, so no server can remove a
 * claim that another has just renewed. A claim is void when its process is gone, or when its process id now belongs to
 * another process. Processes of another container or machine cannot be looked up: their claims count as live as long as
 * they are renewed.
 */
export interface DataDirLock {
  release(): void;
}

interface Claim {
  path: string;
  pid: number;
  birth: string;
  machine: string;
}

const HEARTBEAT_MS = 1_000;
const OBSERVED_MS = 3_500;
const LONG_DEAD_MS = 60_000;
const ATTEMPTS_MAX = 5;

/** @throws DataDirInUse that names DATA_DIR and the process id of its holder */
export async function lockDataDir(dataDir: string, log: EmbeddedLog): Promise<DataDirLock> {
  const machine = machineName();
  const birth = processBirth(process.pid);
  if (birth === undefined) throw new Error('cannot read when this process was started');
  const own = claimOf(dataDir, `server-${process.pid}-${birth}-${machine}.lock`);
  if (!own) throw new Error(`cannot name a lock for process ${process.pid}, started ${birth}, on ${machine}`);
  for (let attempt = 1; ; attempt++) {
    createClaim(own, dataDir);
    const holder = await liveHolder(dataDir, own);
    if (!holder) return hold(own, log);
    rmSync(own.path, { force: true });
    if (attempt === ATTEMPTS_MAX) throw inUse(dataDir, holder);
    // Two that came at once have both withdrawn. After a random pause, one of them is first.
    await sleep(20 + Math.random() * 80);
  }
}

/** Whether a live server holds the folder, a server that is gone did (its claim is removed), or none ever has. */
export async function isHeld(dataDir: string): Promise<'held' | 'left' | 'never'> {
  if (!readdirSync(dataDir).some((name) => claimOf(dataDir, name))) return 'never';
  const nobody = { path: '', pid: 0, birth: '', machine: machineName() };
  return (await liveHolder(dataDir, nobody)) === undefined ? 'left' : 'held';
}

function createClaim(own: Claim, dataDir: string): void {
  try {
    writeFileSync(own.path, '', { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw inUse(dataDir, own);
    throw error;
  }
}

function hold(own: Claim, log: EmbeddedLog): DataDirLock {
  const heartbeat = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(own.path, now, now);
    } catch (error) {
      log.warn({ err: error, path: own.path }, 'cannot renew the lock on DATA_DIR');
    }
  }, HEARTBEAT_MS).unref();
  return {
    release() {
      clearInterval(heartbeat);
      rmSync(own.path, { force: true });
    },
  };
}

async function liveHolder(dataDir: string, own: Claim): Promise<Claim | undefined> {
  const claims = readdirSync(dataDir).map((name) => claimOf(dataDir, name));
  for (const claim of claims) {
    if (!claim || claim.path === own.path) continue;
    const alive = claim.machine === own.machine ? processBirth(claim.pid) === claim.birth : await isRenewed(claim, own);
    if (alive) return claim;
    rmSync(claim.path, { force: true });
  }
  return undefined;
}

async function isRenewed(claim: Claim, own: Claim): Promise<boolean> {
  const before = statSync(claim.path, { throwIfNoEntry: false })?.mtimeMs;
  const now = statSync(own.path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
  if (before === undefined || before < now - LONG_DEAD_MS) return false;
  for (let waitedMs = 0; waitedMs < OBSERVED_MS; waitedMs += 100) {
    await sleep(100);
    const after = statSync(claim.path, { throwIfNoEntry: false })?.mtimeMs;
    if (after !== before) return after !== undefined;
  }
  return false;
}

function claimOf(dataDir: string, name: string): Claim | undefined {
  const [, pid, birth, machine] = /^server-(\d+)-(\w+)-(\w+)\.lock$/.exec(name) ?? [];
  if (!pid || !birth || !machine) return undefined;
  return { path: join(dataDir, name), pid: Number(pid), birth, machine };
}

/** Identifies the scope in which process ids are valid: this boot of this machine, and this container on it. */
function machineName(): string {
  const parts =
    process.platform === 'linux'
      ? [readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'), readlinkSync('/proc/self/ns/pid')]
      : [hostname()];
  return createHash('sha256').update(parts.join(' ')).digest('hex').slice(0, 12);
}

/** Another live process holds the folder. */
export class DataDirInUse extends Error {
  readonly holder: number;

  /** @param holder its process id */
  constructor(message: string, holder: number) {
    super(message);
    this.holder = holder;
  }
}

function inUse(dataDir: string, holder: Claim): DataDirInUse {
  return new DataDirInUse(
    `DATA_DIR ${dataDir} is in use by a metrology-server with process id ${holder.pid}: ` +
      'stop that one first, or set DATA_DIR to another folder',
    holder.pid,
  );
}
