import type { OrganizationDatabase } from '../database/organizations.ts';
import { type RunSummary, runFrame } from './frames.ts';
import type { ListedRun, ListScope } from './look-store.ts';
import type { Micros } from './run-facts.ts';
import { countFollowedRuns, type RunCounts } from './store.ts';
import type { Subscriber } from './subscribers.ts';

/** The runs of one organization, as the followers of its list know them. */
export interface FollowedRunList {
  organization: OrganizationDatabase;
  /** By data_id, as the last look found them. */
  seen: Map<string, ListedRun>;
  followers: Set<Subscriber>;
}

/** What a look covered besides the newest runs. */
export type LookedThrough = Pick<ListScope, 'dataIds' | 'withOpen'>;

/** The first events for a client: the live runs, or with a cursor all runs that may have changed since. */
export async function beginningOf(
  { organization, seen }: FollowedRunList,
  cursor: Micros | undefined,
  commitMsMax: number,
): Promise<Buffer[]> {
  const from = cursor === undefined ? undefined : cursor - commitMsMax * 1_000;
  const isWanted = ({ status, changedAt }: ListedRun) => (from === undefined ? status === 'live' : changedAt > from);
  const wanted = [...seen.values()].filter(isWanted);
  const { readAt, counts } = await countFollowedRuns(organization, idsOf(wanted));
  return summariesOf(counts, seen).map((one) => runFrame(one, readAt));
}

/**
 * Sends the followers of a list what a look has found.
 * @returns runs that may have been deleted; the next look must ask for them by id
 */
export async function tellList(
  { organization, seen, followers }: FollowedRunList,
  found: readonly ListedRun[],
  { dataIds, withOpen }: LookedThrough,
): Promise<string[]> {
  const ids = new Set(idsOf(found));
  const asked = new Set(dataIds);
  const missing = [...seen.values()].filter(({ dataId }) => !ids.has(dataId));
  // A run that was asked for and is not in the answer is deleted. Any other run may only have left the newest ones.
  const gone = missing.filter(({ dataId, status }) => asked.has(dataId) || (withOpen && status !== 'finalized'));
  const changed = found.filter((one) => {
    const before = seen.get(one.dataId);
    if (before !== undefined) before.isNewest = one.isNewest;
    return before?.mark !== one.mark || before.status !== one.status;
  });
  if (changed.length + gone.length > 0) {
    const { readAt, counts } = await countFollowedRuns(organization, idsOf(changed));
    for (const one of changed) seen.set(one.dataId, one);
    for (const { dataId } of gone) seen.delete(dataId);
    const summaries = [...summariesOf(counts, seen), ...gone.map(({ dataId }) => ({ ...deleted, dataId }))];
    const frames = summaries.map((one) => runFrame(one, readAt));
    for (const subscriber of followers) for (const frame of frames) subscriber.send(frame);
  }
  return idsOf(missing.filter((one) => one.isNewest && !gone.includes(one)));
}

const deleted = { status: 'deleted', pointCount: 0, missingChunkCount: 0, lastChunkAt: null, seconds: null } as const;

const idsOf = (runs: readonly ListedRun[]) => runs.map(({ dataId }) => dataId);

/** A run that was deleted in between is reported by the next look. */
const summariesOf = (counts: readonly RunCounts[], seen: ReadonlyMap<string, ListedRun>): RunSummary[] =>
  counts.flatMap((one) => {
    const status = seen.get(one.dataId)?.status;
    return status === undefined ? [] : [{ ...one, status }];
  });
