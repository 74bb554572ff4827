import type pg from 'pg';
import { expect, test } from 'vitest';
import type { Access } from '../../src/database/access.ts';
import { fitnessOf } from '../../src/database/fitness.ts';
import { migrate } from '../../src/database/migrate.ts';
import { readMigrations } from '../../src/database/migrations.ts';
import { makeRoles } from '../../src/database/roles.ts';
import { emptyDatabase } from './support/migrating.ts';

/** The same way to the tables, on which something happens before the statement of this number. */
function interrupted({ pool }: Pick<Access, 'pool'>, place: number, happens: () => Promise<unknown>): Access {
  let statements = 0;
  const query = async (ask: Pick<Access['pool'], 'query'>, text: string, values?: unknown[]) => {
    if (statements++ === place) await happens();
    return ask.query(text, values);
  };
  const connect = async () => {
    const client = await pool.connect();
    const watched = { query: query.bind(undefined, client), release: (error?: Error) => client.release(error) };
    return watched as unknown as pg.PoolClient;
  };
  return { pool: { connect, query: query.bind(undefined, pool) } as Access['pool'], kysely: undefined as never };
}

/* The statements: begin, its isolation, what is there, which migrations ran, commit. */
test.each([0, 1, 2, 3, 4])(
  'a database that another start migrates meanwhile is fit, before statement %i',
  async (place) => {
    const open = await emptyDatabase();
    const other = open();
    await makeRoles(other);
    let isMigrated = false;
    const migrateOnce = async () => {
      await migrate(other, {});
      isMigrated = true;
    };
    const files = await readMigrations();
    const looking = interrupted(open(), place, migrateOnce);
    expect(await fitnessOf(looking, files, { mustOwn: true })).toEqual({ isOfAnother: false });
    expect(isMigrated).toBe(true);
  },
);
