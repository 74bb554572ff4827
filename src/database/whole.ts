/** Many changes by the functions that make one each, as one transaction. */
import { accessTo } from './access.ts';
import type { Database } from './database.ts';
import { organizationsWithin } from './organizations.ts';
import { serviceRole } from './roles.ts';
import { inTransaction, withinTransaction } from './transactions.ts';

/** Rolls back what is not to be kept, and carries what came of it. */
class NotKept<Result> {
  readonly result: Result;
  constructor(result: Result) {
    this.result = result;
  }
}

/**
 * Runs `work` with a database whose `everyOrganization.upkeep` and `as` are one transaction. All of it is kept, or nothing: an error
 * that `work` meets must end it.
 * @param lock whoever runs something under the same number waits for the end of this
 * @param isKept false runs all of it, and rolls it back
 */
export async function inOneTransaction<Result>(
  database: Database,
  { lock, isKept }: { lock: number; isKept: boolean },
  work: (whole: Database) => Promise<Result>,
): Promise<Result> {
  try {
    return await inTransaction(database.everyOrganization.upkeep.pool, async (client) => {
      await client.query('select pg_advisory_xact_lock($1::bigint)', [lock]);
      const upkeep = accessTo(withinTransaction(client, { text: `set local role ${serviceRole}` }));
      const everyOrganization = { ...database.everyOrganization, upkeep };
      const result = await work({ ...database, as: organizationsWithin(client), everyOrganization });
      if (!isKept) throw new NotKept(result);
      return result;
    });
  } catch (error) {
    if (error instanceof NotKept) return error.result;
    throw error;
  }
}
