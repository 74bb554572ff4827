/** Whether the replica is used now, and what the log says about that. */
import type { DatabaseLimits } from './limits.ts';
import { type ReplicaFault, Unfit } from './replica-look.ts';

export interface ReplicaLog {
  info(about: object, message: string): void;
  warn(about: object, message: string): void;
}

type Limits = Pick<DatabaseLimits, 'replicaLookEveryMs' | 'replicaLagMs' | 'replicaRetryMs' | 'replicaTellMs'>;

export interface Standing {
  /** Why the replica is not used now. */
  fault(): ReplicaFault | undefined;
  warning(): string | undefined;
  leave(unfit: Unfit): void;
  comeBack(): void;
  /** Until the next look. */
  pauseMs(): number;
  tellTo(log: ReplicaLog): void;
}

/** Whether the replica is used, and the lines of the log about it: at most one departure in `replicaTellMs`. */
export function createStanding(limits: Limits, now: () => number): Standing {
  let left: Unfit | undefined = new Unfit('unreachable', 'The replica has not been looked at yet.');
  let log: ReplicaLog | undefined;
  let told: ReplicaFault | 'used' | undefined;
  let toldAt = Number.NEGATIVE_INFINITY;
  return {
    fault: () => left?.fault,
    warning: () => left && `Reads go to the primary: ${left.message}`,
    leave(unfit) {
      left = unfit;
      if (told === unfit.fault || now() - toldAt < limits.replicaTellMs) return;
      told = unfit.fault;
      toldAt = now();
      const reason = unfit.cause instanceof Error ? { reason: unfit.cause.message } : {};
      log?.warn({ replica: unfit.message, ...reason }, 'reads go to the primary');
    },
    comeBack() {
      left = undefined;
      if (told === 'used') return;
      told = 'used';
      log?.info({}, 'reads go to the replica');
    },
    pauseMs() {
      if (left === undefined) return limits.replicaLookEveryMs;
      return left.fault === 'lagging' ? limits.replicaLagMs : limits.replicaRetryMs;
    },
    tellTo(given) {
      log = given;
    },
  };
}
