import { afterAll, beforeAll, expect, test } from 'vitest';
import { backUp } from '../../src/backups/backup.ts';
import { readBackup } from '../../src/backups/read-backup.ts';
import { restore } from '../../src/backups/restore-backup.ts';
import { openDatabase } from '../../src/database/database.ts';
import { makeRoles } from '../../src/database/roles.ts';
import { emptyDatabase } from '../database/support/migrating.ts';
import { fillChannel, openStream } from '../ledger/support/storing.ts';
import { loginOf } from '../support/global-setup.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { arriving, backedUp } from './support/content.ts';

/* A backup beside a server that goes on. */

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());

const send = async (data_id: string, chunk_index: number) => {
  const body = { data_id, channel_name: 'p', chunk_index, timestamps: [chunk_index], values: [chunk_index] };
  expect((await server.post('/metrology/stream/chunk', body)).status).toBe(201);
};

test('what was acknowledged before it began is in it, and the whole is of one moment, while chunks arrive', async () => {
  const dataId = await openStream(server, 1);
  // Enough that the backup does not fit into what lies between PostgreSQL and a slow reader.
  await fillChannel(server, await openStream(server, 1), 'many', 10_000);
  for (let i = 0; i < 20; i++) await send(dataId, i);
  let sent = 20;
  let isOver = false;
  const sending = (async () => {
    while (!isOver) await send(dataId, sent++);
  })();
  let writes = 0;
  const { file, contents } = await backedUp(server.databaseUrl, { pieceBytes: 20_000, piecesMax: 1 }, async () => {
    // A piece is only given when another chunk has been stored since the last one.
    const before = sent;
    if (++writes < 8) await expect.poll(() => sent, { interval: 1 }).toBeGreaterThan(before);
  });
  isOver = true;
  await sending;
  expect(writes).toBeGreaterThan(20);
  const owner = (await emptyDatabase())();
  await makeRoles(owner);
  await restore(owner, arriving(file, 65_536));
  const { rows } = await owner.pool.query<{ index: number }>(
    'select chunk_index as index from chunks where data_id = $1::uuid order by 1',
    [dataId],
  );
  // All up to some moment, and none beyond: each was sent once the one before was acknowledged.
  expect(rows.map(({ index }) => index)).toEqual(rows.map((_, i) => i));
  expect(rows.length).toBeGreaterThanOrEqual(20);
  expect(rows.length).toBeLessThan(sent);
  const counted = await owner.pool.query('select chunk_count from channels where data_id = $1::uuid', [dataId]);
  expect(counted.rows).toEqual([{ chunk_count: rows.length }]);
  expect(contents.tables.find(({ name }) => name === 'chunks')?.rows).toBe(10_000 + rows.length);
}, 120_000);

test('a table that the server may not read whole is named, and nothing is taken for a backup without it', async () => {
  await server.owner.pool.query('alter policy every_organization on tags to metrology_api');
  await expect(backedUp(server.databaseUrl)).rejects.toThrow(
    /may not read every row of tags, so a backup would lack some/,
  );
  await server.owner.pool.query('alter policy every_organization on tags to metrology_service');
  await server.owner.pool.query('revoke select on projects from metrology_service');
  await expect(backedUp(server.databaseUrl)).rejects.toThrow(
    /permission denied for table projects|every row of projects/,
  );
  await server.owner.pool.query('grant select on projects to metrology_service');
  await backedUp(server.databaseUrl);
});

test('tables of others are left out, and named', async () => {
  await server.owner.pool.query('create table recipes (name text)');
  const { file, manifest } = await backedUp(server.databaseUrl);
  expect(manifest.leftOut).toEqual(['recipes']);
  expect((await readBackup(arriving(file))).contents.tables.map(({ name }) => name)).not.toContain('recipes');
  await server.owner.pool.query('drop table recipes');
});

test('a table that a migration holds is waited for, lockMsMax at most', async () => {
  const client = await server.owner.pool.connect();
  await client.query('begin; lock table tags');
  await expect(backedUp(server.databaseUrl, { lockMsMax: 50 })).rejects.toThrow(/lock timeout/);
  const waiting = backedUp(server.databaseUrl);
  await client.query('commit');
  client.release();
  expect((await waiting).contents.tables.length).toBeGreaterThan(10);
});

test('little is held, however slow the file is: PostgreSQL is not read on meanwhile', async () => {
  const database = openDatabase(loginOf(server.databaseUrl), { poolMax: 1, onIdleError: () => {}, statementMsMax: 0 });
  const bounds = { pieceBytes: 50_000, piecesMax: 3 };
  let [read, taken, heldMax] = [0, 0, 0];
  const made = await backUp(
    database,
    async (bytes) => {
      // Long enough for what would be read on to be seen.
      await new Promise((resolve) => setTimeout(resolve, 2));
      taken += bytes.length === 1_024 ? 0 : bounds.pieceBytes;
    },
    {
      limits: bounds,
      onProgress: (bytes) => {
        read = bytes;
        heldMax = Math.max(heldMax, read - taken);
      },
    },
  );
  await database.close();
  expect(read).toBe(made.contents.tables.reduce((sum, { bytes }) => sum + bytes, 0));
  expect(read).toBeGreaterThan(1_500_000);
  // What waits to be compressed, the piece that is gathered, and what one read of the socket brings.
  expect(heldMax).toBeLessThanOrEqual((bounds.piecesMax + 1) * bounds.pieceBytes + 65_536);
});

test('one that is given up leaves no transaction behind', async () => {
  const failing = backedUp(server.databaseUrl, {}, async () => {
    throw new Error('no room');
  });
  await expect(failing).rejects.toThrow('no room');
  const database = openDatabase(loginOf(server.databaseUrl), { poolMax: 1, onIdleError: () => {} });
  await expect
    .poll(async () => {
      const { rows } = await server.owner.pool.query(
        `select count(*) as n from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`,
      );
      return rows[0].n;
    })
    .toBe(0);
  await database.close();
});
