/** Has old runs archived and removed from time to time, by the command that an operator would run. */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ProcessLimits } from './limits.ts';

export interface RetentionSchedule {
  /** Ends a run that is under way; the next one goes on where it was. */
  close(): Promise<void>;
}

interface ScheduleOptions {
  /** From the end of one call to the beginning of the next. */
  everyMs: number;
  /** The command line, as it is installed by then. */
  program: string;
  environment: Record<string, string | undefined>;
  log: Logger;
  limits: Pick<ProcessLimits, 'retentionFirstMs' | 'retentionTimerMsMax' | 'shutdownMsMax'>;
}

/**
 * Calls `retention --apply` first a while after the start, and then again and again. It is a process of its own with a lower priority, so
 * that neither its work nor its memory is that of what serves. Several servers on one database may do so: one works at a time.
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

/** Timers of Node end at 25 days. @returns false when it was told to stop */
async function waited(ms: number, timerMsMax: number, signal: AbortSignal): Promise<boolean> {
  for (let left = ms; left > 0 && !signal.aborted; left -= timerMsMax) {
    await sleep(Math.min(left, timerMsMax), undefined, { signal, ref: false }).catch(() => {});
  }
  return !signal.aborted;
}

/** With which the command ends while another process does its work. */
const busyCode = 75;

/** Logs what it says, until it has ended. */
async function followed(child: ChildProcess, log: Logger): Promise<void> {
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null; error?: Error }>((resolve) => {
    child.once('error', (error) => resolve({ code: null, signal: null, error }));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  try {
    if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has gone already, or the system does not let it.
  }
  const said: string[] = [];
  if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => tell(line, log));
  if (child.stderr) createInterface({ input: child.stderr }).on('line', (line) => said.push(line));
  const how = await ended;
  if (how.code === busyCode) log.info('retention is at work for another server');
  else if (how.code !== 0 && how.signal === null)
    log.error({ ...how, said }, 'retention has failed, in part or as a whole');
}

function tell(line: string, log: Logger): void {
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
