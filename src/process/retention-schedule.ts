/** Archives and removes old runs periodically, by the same command that an operator would run. */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ProcessLimits } from './limits.ts';

export interface RetentionSchedule {
  /** Stops a command that is running. The next call continues where it stopped. */
  close(): Promise<void>;
}

interface ScheduleOptions {
  /** Pause between the end of one call and the beginning of the next. */
  everyMs: number;
  /** File of the command line. Each call starts what is installed then. */
  program: string;
  environment: Record<string, string | undefined>;
  log: Logger;
  limits: Pick<ProcessLimits, 'retentionFirstMs' | 'retentionTimerMsMax' | 'shutdownMsMax'>;
}

/**
 * Calls `retention --apply` first `retentionFirstMs` after the start, then every `everyMs`. The command runs as a
 * process of its own with a lower priority, so that it takes neither processor time nor memory from the processes that
 * serve. Several servers on one database may do so: a lock lets one work at a time.
 */
export function scheduleRetention({ everyMs, program, environment, log, limits }: ScheduleOptions): RetentionSchedule {
  const stop = new AbortController();
  let child: ChildProcess | undefined;
  const run = async () => {
    for (let waitMs = limits.retentionFirstMs; ; waitMs = everyMs) {
      if (!(await waited(waitMs, limits.retentionTimerMsMax, stop.signal))) return;
      child = spawn(process.execPath, [program, 'retention', '--apply', '--json', '--scheduled'], {
        env: environment,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      await followed(child, log);
      child = undefined;
    }
  };
  const running = run();
  return {
    async close() {
      stop.abort();
      child?.kill('SIGTERM');
      const late = sleep(limits.shutdownMsMax, undefined, { ref: false }).then(() => child?.kill('SIGKILL'));
      await Promise.race([running, late]);
    },
  };
}

/** Waits with several timers, since those of Node end at 25 days. @returns false when the signal was aborted */
async function waited(ms: number, timerMsMax: number, signal: AbortSignal): Promise<boolean> {
  for (let left = ms; left > 0 && !signal.aborted; left -= timerMsMax) {
    await sleep(Math.min(left, timerMsMax), undefined, { signal, ref: false }).catch(() => {});
  }
  return !signal.aborted;
}

/** Exit code of the command when another process is doing the same work: EX_TEMPFAIL of `sysexits.h`, a temporary failure. */
export const busyCode = 75;

/** Logs the output of the command, until it has ended. */
async function followed(child: ChildProcess, log: Logger): Promise<void> {
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null; error?: Error }>((resolve) => {
    child.once('error', (error) => resolve({ code: null, signal: null, error }));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  try {
    if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // The process has ended already, or the system does not allow it.
  }
  const said: string[] = [];
  if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => logLine(line, log));
  if (child.stderr) createInterface({ input: child.stderr }).on('line', (line) => said.push(line));
  const how = await ended;
  if (how.code === busyCode) log.info('retention is at work for another server');
  else if (how.code !== 0 && how.signal === null)
    log.error({ ...how, said }, 'retention has failed, in part or as a whole');
}

function logLine(line: string, log: Logger): void {
  try {
    const { became, ...facts } = JSON.parse(line) as { became?: string; removed?: number };
    if (became === 'failed') log.error(facts, 'a run could not be archived and stays');
    else if (became !== undefined)
      log.info(facts, became === 'removed' ? 'archived and removed a run' : 'left a run that was changed');
    else if (facts.removed) log.info(facts, 'retention is done');
  } catch {
    log.warn({ line }, 'retention has said something that is no JSON');
  }
}
