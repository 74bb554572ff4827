import type { Footprint } from './footprint.ts';
import type { PointLimits } from './limits.ts';
import type { PointRead } from './points.ts';

/** The points of a channel, and what reading them will hold. */
export interface PlannedRead extends PointRead {
  footprint(limits: PointLimits): Footprint;
  /** Chooses its points now, where they have to be chosen. */
  getReady?: (() => Promise<void>) | undefined;
}
