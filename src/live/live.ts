import type { Database } from '../database/database.ts';
import { createFeed, type Feed } from './feed.ts';
import type { LiveLimits } from './limits.ts';
import { createListFeed, type ListFeed } from './list-feed.ts';
import { lookAtLists, lookAtRuns } from './look-store.ts';
import { createSubscribers, type Subscribers } from './subscribers.ts';

/** Everything by which clients follow runs in this process. */
export interface Live {
  feed: Feed;
  lists: ListFeed;
  subscribers: Subscribers;
  /** How many looks at PostgreSQL have succeeded. */
  lookCount(): number;
  /**
   * Takes note of committed chunks. Without any client this costs one comparison for each batch, else two look-ups for each
   * chunk.
   */
  note(chunks: readonly { item: { organizationId: string; dataId: string } }[]): void;
  /** Ends all connections in order, and accepts no more: the clients connect to another process. */
  close(): void;
}

interface LiveOptions {
  database: Database;
  /** An open run without a new chunk for this long is interrupted. */
  idleSeconds: number;
  limits: LiveLimits;
  /** Is called with the first of several failures in a row. */
  report(error: unknown): void;
}

/** Asks nothing of the database while no client follows. */
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
