import type { Footprint } from './footprint.ts';
import type { PointLimits } from './limits.ts';
import type { PointRead } from './points.ts';

/** The planned points of a channel, and how much memory reading them will take. */
export interface PlannedRead extends PointRead {
  footprint(limits: PointLimits): Footprint;
  /** Points that planning has fetched and kept. */
  keptPoints?: number | undefined;
  /** Of a down-sampled read: chooses its points now, before they are asked for. */
  getReady?: (() => Promise<void>) | undefined;
}
