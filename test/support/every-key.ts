import { type NamedKeyRow, nextKeys } from '../../src/auth/key-list-store.ts';
import type { Database } from '../../src/database/database.ts';

/** What is shown of every key there is. */
export const everyKey = (database: Database): Promise<NamedKeyRow[]> => nextKeys(database, {}, undefined, 10_000);
