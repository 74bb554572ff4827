import type { Database } from '../database/database.ts';
import { createFeed, type Feed } from './feed.ts';
import type { LiveLimits } from './limits.ts';
import { createListFeed, type ListFeed } from './list-feed.ts';
import { lookAtLists, lookAtRuns } from './look-store.ts';
import { createSubscribers, type Subscribers } from './subscribers.ts';

/** All that follows runs in this process. */
export interface Live {
  feed: Feed;
  lists: ListFeed;
  subscribers: Subscribers;
  /** Looks at PostgreSQL that have succeeded. */
  lookCount(): number;
  /** For the feed of ingest: costs one look into a map for each chunk where nobody follows. */
  note(chunks: readonly { item: { organizationId: string; dataId: string } }[]): void;
  /** Ends everybody in order, and takes no more: they come back to another process. */
  close(): void;
}

interface LiveOptions {
  database: Database;
  /** After how long without a chunk an open run is interrupted. */
  idleSeconds: number;
  limits: LiveLimits;
  /** Given the first of several looks in a row that fail. */
  report(error: unknown): void;
}

/** Nothing is asked of the database while nobody follows. */
export function createLive({ database, idleSeconds, limits, report }: LiveOptions): Live {
  const now = () => performance.now();
  let hasFailed = false;
  let lookCount = 0;
  const deps = {
    ...{ limits, now, idleSeconds },
    report(error: unknown) {
      if (!hasFailed) report(error);
      hasFailed = true;
    },
  };
  const succeeded = <Result>(result: Result): Result => {
    hasFailed = false;
    lookCount++;
    return result;
  };
  const feed = createFeed({
    ...deps,
    look: (dataIds) => lookAtRuns(database, dataIds, idleSeconds).then(succeeded),
  });
  const lists = createListFeed({
    ...deps,
    look: (scope) => lookAtLists(database, scope, idleSeconds).then(succeeded),
  });
  const subscribers = createSubscribers(limits);
  return {
    ...{ feed, lists, subscribers },
    lookCount: () => lookCount,
    note(chunks) {
      if (subscribers.count() === 0) return;
      for (const { item } of chunks) {
        feed.note(item.organizationId, item.dataId);
        lists.note(item.organizationId, item.dataId);
      }
    },
    close() {
      feed.close();
      lists.close();
      subscribers.close();
    },
  };
}
