import { groupBy } from '../lib/group-by.ts';
import { endRun, type FollowedRun, followedRunKey, type LookedAt, tellChanges, tellStatus } from './follow.ts';
import type { LiveLimits } from './limits.ts';
import type { SeenRun } from './look-store.ts';

export interface LooksOptions {
  /** The followed runs, by `keyOf`. A run that was deleted is removed from it. */
  runs: Map<string, FollowedRun>;
  look(dataIds: readonly string[]): Promise<SeenRun[]>;
  limits: LiveLimits;
  /** Milliseconds from any origin. */
  now(): number;
  /** Is given the error of a failed look. The next look finds what it missed. */
  report(error: unknown): void;
}

/**
 * Looks at all followed runs every `lookMs`, with one statement for all of them. Runs of which this process has stored
 * chunks are looked at as soon as their followers may get another event. What has changed is then read, organization by
 * organization.
 */
export function createLooks({ runs, look, limits, now, report }: LooksOptions) {
  let timer: NodeJS.Timeout | undefined;
  let timerAt = Number.POSITIVE_INFINITY;
  let isLooking = false;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let isClosed = false;

  function lookAt(at: number): void {
    if (isLooking || isClosed || at >= timerAt) return;
    clearTimeout(timer);
    timerAt = at;
    timer = setTimeout(() => void lookNow(), Math.max(0, at - now())).unref();
  }

  function schedule(): void {
    if (runs.size === 0) return;
    let at = lookedAt + limits.lookMs;
    for (const { isDirty, isReading, nextAt } of runs.values()) if (isDirty && !isReading) at = Math.min(at, nextAt);
    lookAt(at);
  }

  async function lookNow(): Promise<void> {
    timerAt = Number.POSITIVE_INFINITY;
    isLooking = true;
    const at = now();
    const isForAll = at >= lookedAt + limits.lookMs;
    if (isForAll) lookedAt = at;
    const due = [...runs.values()].filter(
      ({ nextAt, isDirty, isReading }) => !isReading && nextAt <= at && (isForAll || isDirty),
    );
    for (const run of due) run.isDirty = false;
    try {
      if (due.length > 0) tellAll(due, await look([...new Set(due.map(({ dataId }) => dataId))]));
    } catch (error) {
      report(error);
    }
    isLooking = false;
    schedule();
  }

  function tellAll(due: FollowedRun[], seen: SeenRun[]): void {
    const found = new Map(seen.map((one) => [followedRunKey(one.organizationId, one.dataId), one]));
    const changed: LookedAt[] = [];
    for (const run of due) {
      const one = found.get(followedRunKey(run.organization.organizationId, run.dataId));
      if (one === undefined) endRun(runs, run);
      else if (one.mark === run.mark) tellStatus([run, one]);
      else changed.push([run, one]);
    }
    // Not awaited: when one organization has to wait for a connection, the others go on.
    for (const own of groupBy(changed, ([run]) => run.organization.organizationId).values()) void readAndTell(own);
  }

  async function readAndTell(own: LookedAt[]): Promise<void> {
    const [[{ organization }]] = own as [LookedAt];
    for (const [run] of own) run.isReading = true;
    try {
      await tellChanges(organization, own, limits);
      own.forEach(tellStatus);
    } catch (error) {
      // The marks were not updated, so the next look reads all changes again.
      report(error);
    }
    for (const [run] of own) {
      run.isReading = false;
      run.nextAt = now() + Math.max(limits.eventMsMin, limits.eventMsPerSubscriber * run.followers.size);
    }
    schedule();
  }

  return {
    /** To be called when a client begins to follow a run: starts the looks. */
    begin: schedule,
    /** Chunks of a run were committed in this process. */
    note(run: FollowedRun): void {
      if (run.isDirty) return;
      run.isDirty = true;
      if (!run.isReading) lookAt(Math.max(now(), run.nextAt));
    },
    close(): void {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
