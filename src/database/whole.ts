/** Many changes in one transaction, made by the functions that otherwise make one change each. */
import { accessTo } from './access.ts';
import type { Database } from './database.ts';
import { takeLocally } from './local-organization.ts';
import { organizationsWithin } from './organizations.ts';
import { serviceRole } from './roles.ts';
import { inTransaction, withinTransaction } from './transactions.ts';

/** Thrown to roll back; carries the result. */
class NotKept<Result> {
  readonly result: Result;
  constructor(result: Result) {
    this.result = result;
  }
}

/**
 * Runs `work` with a database whose `everyOrganization.upkeep` and `as` are one transaction. All of it is kept, or
 * nothing: any error that `work` meets must end it.
 * @param lock calls with the same number run one after the other
 * @param isKept false runs all of it and then rolls it back
 */
export async function inOneTransaction<Result>(
  database: Database,
  { lock, isKept }: { lock: number; isKept: boolean },
  work: (whole: Database) => Promise<Result>,
): Promise<Result> {
  try {
    return await inTransaction(database.everyOrganization.upkeep.pool, async (client) => {
      await client.query('select pg_advisory_xact_lock($1::bigint)', [lock]);
      const upkeep = accessTo(withinTransaction(client, { text: takeLocally(serviceRole) }));
      const everyOrganization = { ...database.everyOrganization, upkeep };
      const as = organizationsWithin(client);
      const result = await work({ ...database, as, readingAs: as, everyOrganization });
      if (!isKept) throw new NotKept(result);
      return result;
    });
  } catch (error) {
    if (error instanceof NotKept) return error.result;
    throw error;
  }
}
