import type { OrganizationDatabase } from '../database/organizations.ts';
import { unavailable } from '../errors.ts';
import { groupBy } from '../lib/group-by.ts';
import { channelsFrame, statusFrame } from './frames.ts';
import type { LiveLimits } from './limits.ts';
import type { SeenRun } from './look-store.ts';
import type { Micros, RunStatus } from './run-facts.ts';
import { changedSpan, spanSince } from './span.ts';
import { findFollowedRun, readChannels, type StoredChannel } from './store.ts';
import type { Subscriber } from './subscribers.ts';

/** A run that is followed in this process, as its followers know it. */
export interface FollowedRun {
  organization: OrganizationDatabase;
  dataId: string;
  /** As they were sent last. */
  channels: Map<number, StoredChannel>;
  status: RunStatus;
  /** The database's clock when they were read. */
  readAt: Micros;
  /** The mark that the last look found; undefined before the first look. */
  mark: string | undefined;
  /** Chunks of the run were committed in this process since the last look. */
  isDirty: boolean;
  /** The earliest time of the next event to its followers, in milliseconds of the feed's clock. */
  nextAt: number;
  /** Its changes are being read. No other read of it begins before they are sent. */
  isReading: boolean;
  followers: Set<Subscriber>;
}

type FollowLimits = Pick<LiveLimits, 'nearChunksMax' | 'commitMsMax' | 'followedChannelsMax'>;

export interface FollowDependencies {
  idleSeconds: number;
  limits: FollowLimits;
}

/** The key of a run among those of all organizations. */
export const followedRunKey = (organizationId: string, dataId: string) => `${organizationId} ${dataId}`;

/** Reads the present state of a run, without followers. Undefined where the organization has no such run. */
export async function openRun(
  organization: OrganizationDatabase,
  dataId: string,
  { idleSeconds, limits }: FollowDependencies,
): Promise<FollowedRun | undefined> {
  const found = await findFollowedRun(organization, dataId, idleSeconds);
  if (found === undefined) return undefined;
  const { readAt, channels } = await readChannels(organization, [dataId], [], limits.nearChunksMax);
  return {
    ...{ organization, dataId, readAt },
    channels: new Map(channels.map((channel) => [channel.channelId, channel])),
    status: found.status,
    mark: undefined,
    isDirty: false,
    isReading: false,
    nextAt: 0,
    followers: new Set(),
  };
}

/** The event with the whole state of a run, for a client that begins to follow it or comes back with a cursor. */
export function wholeState(run: FollowedRun, cursor: Micros | undefined, { commitMsMax }: FollowLimits): Buffer {
  const channels = [...run.channels.values()].map((channel) => ({
    channel,
    span: spanSince(channel, cursor, commitMsMax),
  }));
  return channelsFrame(run.dataId, run.status, channels, run.readAt);
}

/** A run, and the result of a look at it. */
export type LookedAt = [run: FollowedRun, found: SeenRun];

/**
 * Reads what has changed in some runs of one organization, and sends it to their followers. On failure the runs stay as
 * they were, so that the next look misses nothing.
 */
export async function tellChanges(
  organization: OrganizationDatabase,
  changed: readonly LookedAt[],
  { nearChunksMax }: FollowLimits,
): Promise<void> {
  const known = changed.flatMap(([{ channels }]) => [...channels.values()]);
  const ids = changed.map(([{ dataId }]) => dataId);
  const { readAt, channels } = await readChannels(organization, ids, known, nearChunksMax);
  const byRun = groupBy(channels, ({ dataId }) => dataId);
  for (const [run, { mark, status }] of changed) {
    run.readAt = readAt;
    run.mark = mark;
    const own = byRun.get(run.dataId);
    if (own === undefined) continue;
    const changes = own.map((channel) => ({
      channel,
      span: changedSpan(channel, run.channels.get(channel.channelId)),
    }));
    for (const channel of own) run.channels.set(channel.channelId, channel);
    tell(run, channelsFrame(run.dataId, status, changes, readAt));
  }
}

/**
 * Sends a new status. It goes out after the last channels, so that a client that stops at a finalized run has all of it.
 */
export function tellStatus([run, { status }]: LookedAt): void {
  if (run.status === status) return;
  run.status = status;
  tell(run, statusFrame(run.dataId, status, run.readAt));
}

/** The run does not exist any more: tells its followers and stops following it. */
export function endRun(runs: Map<string, FollowedRun>, run: FollowedRun): void {
  tell(run, statusFrame(run.dataId, 'deleted', run.readAt));
  runs.delete(followedRunKey(run.organization.organizationId, run.dataId));
  for (const subscriber of run.followers) subscriber.leaveRun();
}

function tell(run: FollowedRun, frame: Buffer): void {
  for (const subscriber of run.followers) subscriber.send(frame);
}

/**
 * Checks the number of followed channels of this process. An organization may follow at most as many as are still free.
 * @throws ApiError 503
 */
export function requireRoom(
  runs: Iterable<FollowedRun>,
  next: FollowedRun,
  { followedChannelsMax }: FollowLimits,
): void {
  let all = 0;
  let own = 0;
  for (const { channels, organization } of runs) {
    all += channels.size;
    if (organization.organizationId === next.organization.organizationId) own += channels.size;
  }
  if (own + next.channels.size <= followedChannelsMax - all) return;
  throw unavailable(
    `The runs that are followed here have ${all} channels, ${own} of them of this organization, and there is no room for ` +
      `${next.channels.size} more (followedChannelsMax, ${followedChannelsMax}).`,
  );
}
