import type { OrganizationDatabase } from '../database/organizations.ts';
import { groupBy } from '../lib/group-by.ts';
import type { LiveLimits } from './limits.ts';
import type { ListedRun, ListScope } from './look-store.ts';
import type { Micros } from './run-facts.ts';
import { beginningOf, type FollowedRunList, type LookedThrough, tellList } from './run-list.ts';
import type { Subscriber } from './subscribers.ts';

/** Sends the changed runs of the list to the clients that follow it; each run at most once per look. */
export interface ListFeed {
  /**
   * Sends the runs that are live now, or with a cursor those that may have changed since; and every change after it.
   * @param cursor what the client has seen before: all changes up to this time
   */
  follow(organization: OrganizationDatabase, subscriber: Subscriber, cursor: Micros | undefined): Promise<void>;
  /** Chunks of a run were committed in this process. */
  note(organizationId: string, dataId: string): void;
  close(): void;
}

interface ListFeedOptions {
  look(scope: ListScope): Promise<ListedRun[]>;
  limits: LiveLimits;
  /** Milliseconds from any origin. */
  now(): number;
  report(error: unknown): void;
}

export function createListFeed({ look, limits, now, report }: ListFeedOptions): ListFeed {
  const { listedRunsMax } = limits;
  const lists = new Map<string, FollowedRunList>();
  /** Runs that the next look must cover, even if they are not among the newest. */
  const noted = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let sweptAt = Number.NEGATIVE_INFINITY;
  let isClosed = false;

  function schedule(): void {
    if (timer !== undefined || isClosed || lists.size === 0) return;
    timer = setTimeout(() => void lookNow(), limits.listLookMs).unref();
  }

  async function lookNow(): Promise<void> {
    const withOpen = now() >= sweptAt + limits.listSweepMs;
    const dataIds = new Set(noted);
    noted.clear();
    // Live runs are always covered, also when they are not among the newest.
    for (const { seen } of lists.values()) {
      for (const { dataId, status } of seen.values()) if (status === 'live') dataIds.add(dataId);
    }
    try {
      await lookThrough([...lists.values()], { dataIds: [...dataIds], withOpen });
      if (withOpen) sweptAt = now();
    } catch (error) {
      for (const dataId of dataIds) noted.add(dataId);
      report(error);
    }
    timer = undefined;
    schedule();
  }

  async function lookThrough(some: FollowedRunList[], scope: LookedThrough): Promise<void> {
    const organizationIds = some.map(({ organization }) => organization.organizationId);
    const found = groupBy(
      await look({ ...scope, organizationIds, listedRunsMax }),
      ({ organizationId }) => organizationId,
    );
    const tellings = some.map((list) => tellList(list, found.get(list.organization.organizationId) ?? [], scope));
    for (const one of await Promise.allSettled(tellings)) {
      if (one.status === 'rejected') report(one.reason);
      else for (const dataId of one.value) noted.add(dataId);
    }
  }

  async function listOf(organization: OrganizationDatabase): Promise<FollowedRunList> {
    const organizationIds = [organization.organizationId];
    const known = lists.get(organization.organizationId);
    if (known !== undefined) return known;
    const found = await look({ organizationIds, listedRunsMax, dataIds: [], withOpen: true });
    return { organization, seen: new Map(found.map((one) => [one.dataId, one])), followers: new Set() };
  }

  return {
    async follow(organization, subscriber, cursor) {
      const opened = await listOf(organization);
      const frames = await beginningOf(opened, cursor, limits.commitMsMax);
      if (isClosed || subscriber.stream.destroyed) return;
      const { organizationId } = organization;
      const list = lists.get(organizationId) ?? opened;
      lists.set(organizationId, list);
      list.followers.add(subscriber);
      for (const frame of frames) subscriber.send(frame);
      subscriber.stream.once('close', () => {
        list.followers.delete(subscriber);
        if (list.followers.size === 0 && lists.get(organizationId) === list) lists.delete(organizationId);
      });
      schedule();
    },
    note(organizationId, dataId) {
      if (lists.has(organizationId)) noted.add(dataId);
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
