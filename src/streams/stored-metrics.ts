/** What `/metrics` shows of the database: its size, live streams, and how long ago the last chunk was stored. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import type { OnCommitted } from './committed.ts';
import type { StreamLimits } from './limits.ts';

/** Registers a metric whose value takes a query. */
interface Shows {
  watchSlow(name: string, help: string, read: () => Promise<number | undefined>, aggregator?: 'min' | 'max'): void;
}

interface StoredOptions {
  database: Pick<Database, 'everyOrganization'>;
  /** After how long without a chunk an open stream counts as interrupted. */
  idleSeconds: number;
  /** In milliseconds of Unix time. */
  now: () => number;
  limits: Pick<StreamLimits, 'storedLookKeepMs' | 'storedLookMsMax'>;
}

interface Facts {
  bytes: number;
  live: number;
  /** Age of the last chunk in seconds; null where there is none. */
  lastSeconds: number | null;
}

/**
 * Registers these metrics. The database is queried only when somebody reads the metrics; while it does not answer, they
 * are missing.
 * @returns a listener for commits of this server. What other servers have stored is known only from the database, a
 * little later
 */
export function watchStored(metrics: Shows, options: StoredOptions): { note: OnCommitted } {
  const { database, idleSeconds, now, limits } = options;
  let lastAt = 0;
  let isFirst = true;
  const read = createLook<Facts>(async () => {
    const facts = await readFacts(database, idleSeconds, isFirst);
    isFirst = false;
    if (facts.lastSeconds !== null) lastAt = Math.max(lastAt, now() - facts.lastSeconds * 1_000);
    return facts;
  }, limits);
  metrics.watchSlow('metrology_database_size_bytes', 'Size of the database, without the write-ahead log', async () => {
    return (await read())?.bytes;
  });
  const live = 'Streams that are open, and were opened or got a chunk within STREAM_IDLE_SECONDS';
  metrics.watchSlow('metrology_live_streams', live, async () => (await read())?.live);
  const age = 'How long ago the last chunk was stored; missing while none is known';
  const ageSeconds = async () => {
    const isKnown = (await read()) !== undefined && lastAt > 0;
    return isKnown ? Math.max(0, now() - lastAt) / 1_000 : undefined;
  };
  metrics.watchSlow('metrology_last_chunk_age_seconds', age, ageSeconds, 'min');
  return {
    note: () => {
      lastAt = now();
    },
  };
}

/**
 * Makes a cached query. Calls at the same time share one query, and its answer is reused for `storedLookKeepMs`.
 * @returns the last answer; undefined after a failed query and before the first answer
 */
function createLook<Answer>(
  ask: () => Promise<Answer>,
  { storedLookKeepMs, storedLookMsMax }: StoredOptions['limits'],
): () => Promise<Answer | undefined> {
  let answer: Answer | undefined;
  let answeredAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> | undefined;
  return async () => {
    if (performance.now() - answeredAt < storedLookKeepMs) return answer;
    asking ??= ask()
      .then((given) => {
        answer = given;
        answeredAt = performance.now();
      })
      .catch(() => {
        answer = undefined;
      })
      .finally(() => {
        asking = undefined;
      });
    const late = new AbortController();
    await Promise.race([asking, sleep(storedLookMsMax, undefined, { signal: late.signal }).catch(() => {})]);
    late.abort();
    return answer;
  };
}

/** Only the first query reads channels of streams that are not open, since most of them get no more chunks. */
async function readFacts(
  { everyOrganization }: StoredOptions['database'],
  idleSeconds: number,
  isFirst: boolean,
): Promise<Facts> {
  const { rows } = await everyOrganization.upkeep.pool.query<Facts>({
    name: 'metrics_of_the_database',
    text: `
      select pg_database_size(current_database())::float8 as bytes, open.live::float8 as live,
        extract(epoch from clock_timestamp() - greatest(open.changed_at, every.changed_at))::float8 as "lastSeconds"
      from (
        select max(c.changed_at) as changed_at,
          count(*) filter (
            where greatest(s.created_at, c.changed_at) + make_interval(secs => $1::float8) >= clock_timestamp()
          ) as live
        from streams s
        cross join lateral (
          select max(changed_at) as changed_at from channels where data_id = s.data_id and chunk_count > 0
        ) c
        where s.finalized_at is null and s.deleted_at is null
      ) open
      cross join (
        select max(changed_at) as changed_at from channels where $2::boolean and chunk_count > 0
      ) every`,
    values: [idleSeconds, isFirst],
  });
  return rows[0] as Facts;
}
