import type { OrganizationDatabase } from '../database/organizations.ts';
import { type FollowedRun, followedRunKey, openRun, requireRoom, wholeState } from './follow.ts';
import { createLooks, type LooksOptions } from './looks.ts';
import type { Micros } from './run-facts.ts';
import type { Subscriber } from './subscribers.ts';

/**
 * Sends the changes of runs to the clients that follow them. It compares what PostgreSQL holds with what was sent last,
 * channel by channel. So nothing is missed, whichever server stored it and however late its commit became visible.
 */
export interface Feed {
  /**
   * Sends the whole state of a run, and every change after it.
   * @param cursor what the client has seen before: all changes up to this time
   * @returns false for a run that the organization does not have
   * @throws ApiError 503 when too many channels are followed
   */
  follow(
    organization: OrganizationDatabase,
    dataId: string,
    subscriber: Subscriber,
    cursor: Micros | undefined,
  ): Promise<boolean>;
  /** Chunks of a run were committed in this process: the run is looked at soon, before the next periodic look. */
  note(organizationId: string, dataId: string): void;
  runCount(): number;
  close(): void;
}

type FeedOptions = Omit<LooksOptions, 'runs'> & { idleSeconds: number };

export function createFeed(options: FeedOptions): Feed {
  const { limits } = options;
  const runs = new Map<string, FollowedRun>();
  /** Runs that are being read for the first time. Clients that begin to follow one meanwhile share the read. */
  const opening = new Map<string, Promise<FollowedRun | undefined>>();
  const looks = createLooks({ ...options, runs });
  let isClosed = false;

  async function runOf(organization: OrganizationDatabase, dataId: string): Promise<FollowedRun | undefined> {
    const key = followedRunKey(organization.organizationId, dataId);
    const known = runs.get(key) ?? opening.get(key);
    if (known !== undefined) return known;
    const opened = openRun(organization, dataId, options).finally(() => opening.delete(key));
    opening.set(key, opened);
    return opened;
  }

  function enter(key: string, run: FollowedRun, subscriber: Subscriber): void {
    run.followers.add(subscriber);
    subscriber.enterRun();
    subscriber.stream.once('close', () => {
      run.followers.delete(subscriber);
      if (run.followers.size === 0 && runs.get(key) === run) runs.delete(key);
    });
    looks.begin();
  }

  return {
    async follow(organization, dataId, subscriber, cursor) {
      const key = followedRunKey(organization.organizationId, dataId);
      const opened = await runOf(organization, dataId);
      if (opened === undefined) return false;
      if (isClosed || subscriber.stream.destroyed) return true;
      const run = runs.get(key) ?? opened;
      if (run.followers.size === 0) requireRoom(runs.values(), run, limits);
      runs.set(key, run);
      subscriber.send(wholeState(run, cursor, limits));
      enter(key, run, subscriber);
      return true;
    },
    note(organizationId, dataId) {
      const run = runs.get(followedRunKey(organizationId, dataId));
      if (run !== undefined) looks.note(run);
    },
    runCount: () => runs.size,
    close() {
      isClosed = true;
      looks.close();
    },
  };
}
