import { Command } from 'commander';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backUp } from '../../src/backups/backup.ts';
import { addSqlReadersCommands } from '../../src/commands/sql-readers.ts';
import { examine } from '../../src/doctor/doctor.ts';
import { doctorLimits } from '../../src/doctor/limits.ts';
import { repack } from '../../src/repack/repack.ts';
import { planRetention } from '../../src/retention/apply-rules.ts';
import { contentOf, fill } from '../backups/support/content.ts';
import { makeOld, rulesOf } from '../retention/support/runs.ts';
import { storeAsSent } from '../support/as-sent.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

/* Commands on a distributed database: each works, or is refused with a sentence. Those of keys and people have their tests there too. */

let server: TestServer;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer();
  dataId = await fill(server);
});
afterAll(() => server?.close());

test('backup is refused: no snapshot covers all nodes', async () => {
  const made = backUp(server.database, async () => expect.unreachable());
  await expect(made).rejects.toThrow(/no snapshot covers them all: .*pgBackRest.*citus_create_restore_point/);
});

test('sql-readers create is refused: there are no views', async () => {
  const command = new Command().exitOverride();
  addSqlReadersCommands(command, {
    withOwner: (work) => work(server.owner, server.databaseUrl),
    print: () => expect.unreachable(),
    actor: { kind: 'operator' },
  });
  const created = command.parseAsync(['create', '--organization', 'lab'], { from: 'user' });
  await expect(created).rejects.toThrow('the views for SQL readers do not exist there');
});

test('repack packs what was stored as sent, and every content stays the same', async () => {
  const { database, owner } = server;
  const before = await contentOf(owner.pool);
  await storeAsSent(owner);
  const left: string[] = [];
  const result = await repack(database, { onLeft: ({ problem }) => left.push(problem) });
  expect({ ...result, left }).toMatchObject({ looked: 79, wrong: 0, heldChannels: 0, isBrokenOff: false, left: [] });
  expect(result.packed).toBeGreaterThan(70);
  expect(result.tableBytes.after).toBeGreaterThan(0);
  const after = await contentOf(owner.pool);
  for (const table of ['channels', 'streams', 'stream_tags']) expect(after[table]).toBe(before[table]);
});

test('retention finds old runs by organization, project and tag, and tells their size', async () => {
  await makeOld(server, dataId);
  const rules = rulesOf(`retention:
    - {organization: lab, tag: "märker ada", older_than: 30d}
    - {organization: LAB, project: "Projekt\\t1", older_than: 30d}
    - {organization: rival, older_than: 30d}`);
  const planned = await planRetention(server.database, rules);
  expect(planned.map(({ runs }) => runs.map((run) => run.dataId))).toEqual([[dataId], [], []]);
  expect(planned[0]?.runs[0]).toMatchObject({ channels: 6, isFinalized: true });
  expect(planned[0]?.bytes).toBeGreaterThan(0);
});

test('doctor looks over the nodes', async () => {
  const patient = {
    owner: server.owner.pool,
    service: server.database.everyOrganization.upkeep.pool,
    now: Date.now,
    limits: doctorLimits,
  };
  const { checks } = await import('../../src/doctor/doctor.ts');
  const found = await examine(
    patient as never,
    checks.filter(([name]) => name.startsWith('node')),
  );
  expect(found.map(({ state, says }) => `${state}: ${says}`)).toEqual([
    expect.stringMatching(/^ok: The tables are distributed over \d workers with Citus \S+; all answer\.$/),
    'ok: Every node keeps what it has committed, and takes part in transactions of several nodes.',
    'ok: The clocks of the nodes agree.',
    'ok: No transaction of several nodes was left unfinished.',
  ]);
  const where = 'where groupid = (select max(groupid) from pg_dist_node)';
  await server.owner.pool.query(`update pg_dist_node set isactive = false ${where}`);
  const [nodes] = await examine(
    patient as never,
    checks.filter(([name]) => name === 'nodes'),
  );
  await server.owner.pool.query(`update pg_dist_node set isactive = true ${where}`);
  expect(nodes).toMatchObject({ state: 'fault', says: expect.stringMatching(/^Not in use: /) });
});
