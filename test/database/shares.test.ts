import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { findKeyOwners } from '../../src/auth/store.ts';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { TooManyWaiting } from '../../src/database/failures.ts';
import { createShares } from '../../src/database/shares.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

const bounds = { connectionsMax: 4, waitingPerOrganizationMax: 3, waitMsMax: 60_000 };

/** Asks for a connection and tells, once the queue has settled, whether it was given. */
function ask(shares: ReturnType<typeof createShares>, organization: string, given: string[]) {
  const one: { give?: () => void } = {};
  const taken = shares.take(organization).then((give) => {
    given.push(organization);
    one.give = give;
  });
  // Those that still wait when the test is over.
  taken.catch(() => {});
  return Object.assign(one, { taken });
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('shares', () => {
  test('an organization holds as many as are still free, and one is left for whoever comes next', async () => {
    const given: string[] = [];
    const shares = createShares(bounds);
    for (let i = 0; i < 4; i++) ask(shares, 'lab', given);
    await settle();
    expect(given).toEqual(['lab', 'lab']);
    ask(shares, 'rival', given);
    ask(shares, 'third', given);
    await settle();
    expect(given).toEqual(['lab', 'lab', 'rival', 'third']);
    expect(shares.waitingCount()).toBe(2);
  });

  test('what comes free goes to the organizations in turn, and within one to who came first', async () => {
    const shares = createShares({ ...bounds, connectionsMax: 1 });
    const order: string[] = [];
    const give = await shares.take('holder');
    const waits = ['lab 1', 'lab 2', 'lab 3', 'rival 1', 'third 1', 'rival 2'].map((name) =>
      shares.take(name.split(' ')[0] as string).then((giveBack) => {
        order.push(name);
        setImmediate(giveBack);
      }),
    );
    await settle();
    give();
    await Promise.all(waits);
    expect(order).toEqual(['lab 1', 'rival 1', 'third 1', 'lab 2', 'rival 2', 'lab 3']);
  });

  test('giving back twice counts once', async () => {
    const shares = createShares({ ...bounds, connectionsMax: 2 });
    const give = await shares.take('lab');
    give();
    give();
    const given: string[] = [];
    for (let i = 0; i < 3; i++) ask(shares, 'lab', given);
    await settle();
    expect(given).toEqual(['lab']);
  });

  test('more than waitingPerOrganizationMax are refused with that number, those of others are not', async () => {
    const shares = createShares({ ...bounds, connectionsMax: 1 });
    await shares.take('lab');
    for (let i = 0; i < 3; i++) ask(shares, 'lab', []);
    const refused = shares.take('lab');
    await expect(refused).rejects.toThrow(TooManyWaiting);
    await expect(refused).rejects.toThrow('More than 3 requests of this organization wait');
    ask(shares, 'rival', []);
    expect(shares.waitingCount()).toBe(4);
  });

  test('who has waited for waitMsMax is refused, and takes nothing any more', async () => {
    vi.useFakeTimers();
    try {
      const shares = createShares({ ...bounds, connectionsMax: 1, waitMsMax: 1_000 });
      const give = await shares.take('lab');
      const late = shares.take('lab');
      const outcome = expect(late).rejects.toThrow('for 1000 ms');
      await vi.advanceTimersByTimeAsync(1_000);
      await outcome;
      expect(shares.waitingCount()).toBe(0);
      give();
      await expect(shares.take('rival')).resolves.toBeTypeOf('function');
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('connections', () => {
  let server: TestServer;
  let database: Database;
  const organization = async (key: string) =>
    (await findKeyOwners(server.database, [key]))[0]?.organizationId as string;
  beforeAll(async () => {
    server = await startTestServer();
    const url = new URL(server.databaseUrl);
    database = openDatabase(url.href, { poolMax: 4, onIdleError: () => {}, limits: { readStatementMsMax: 1_500 } });
  });
  afterAll(async () => {
    await database?.close();
    await server?.close();
  });

  test('one organization that asks for all of them keeps no other one, no key and no ingest waiting', async () => {
    const [lab, rival] = [await organization(server.keys.ada), await organization(server.keys.rival)];
    const patient = openDatabase(server.databaseUrl, { poolMax: 4, onIdleError: () => {} });
    const holder = await server.owner.pool.connect();
    try {
      await holder.query('select pg_advisory_lock(7)');
      const slow = Array.from({ length: 12 }, () => patient.as(lab).pool.query('select pg_advisory_xact_lock(7)'));
      await expect.poll(() => patient.pools.general.waitingCount).toBe(10);
      // Those of the first one wait meanwhile, and would for ever.
      await patient.as(rival).pool.query('select 1');
      expect((await findKeyOwners(patient, [server.keys.ada]))[0]).toBeDefined();
      await patient.everyOrganization.ingest.query('select 1');
      expect(await patient.readiness.look()).toBeUndefined();
      expect(patient.pools.general.waitingCount).toBe(10);
      await holder.query('select pg_advisory_unlock(7)');
      await Promise.all(slow);
      expect(patient.pools.general.waitingCount).toBe(0);
    } finally {
      holder.release(true);
      await patient.close();
    }
  }, 60_000);

  test('a statement of a read ends after readStatementMsMax, one of ingest does not', async () => {
    const lab = await organization(server.keys.ada);
    await expect(database.as(lab).pool.query('select pg_sleep(5)')).rejects.toMatchObject({ code: '57014' });
    await database.everyOrganization.ingest.query('select pg_sleep(2)');
  });

  test('a connection that cannot be opened gives its share back', async () => {
    const lab = await organization(server.keys.ada);
    const nobody = openDatabase('postgresql://nobody:x@127.0.0.1:1/none', { poolMax: 2, onIdleError: () => {} });
    for (let i = 0; i < 5; i++) {
      await expect(nobody.as(lab).pool.query('select 1')).rejects.toThrow(/ECONNREFUSED|cannot be reached/);
    }
    expect(nobody.pools.general.waitingCount).toBe(0);
    await nobody.close();
  });
});
