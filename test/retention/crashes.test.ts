import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { restoreArchive } from '../../src/retention/restore-run.ts';
import { onCluster } from '../support/on-cluster.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { apply, makeOld, makeRun, newFolder, remains, send, told } from './support/runs.ts';

/* A run is never lost: whatever happens between two steps, it is whole in the database or in an archive that has been read back. */

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

test.each(['archived', 'checked', 'given up', 'removed'] as const)('when the process ends after "%s"', async (last) => {
  const dataId = await makeRun(server, `ends after ${last}`);
  await makeOld(server, dataId);
  const before = await told(server, dataId);
  const folder = newFolder();
  const onStep = (step: string, of: string) => {
    if (step === last && of === dataId) throw new Error('killed');
  };
  const outcomes = await apply(server, folder, { onStep });
  expect(outcomes).toContainEqual({ dataId, became: 'failed', problem: 'killed' });
  if (last === 'archived' || last === 'checked') expect(await told(server, dataId)).toEqual(before);
  // The next call goes on.
  await apply(server, folder);
  expect(await remains(server, dataId)).toEqual([]);
  const paths = readdirSync(folder).filter((name) => name.startsWith(dataId));
  expect(paths).toHaveLength(1);
  await restoreArchive(server.database, join(folder, paths[0] as string));
  expect(await told(server, dataId)).toEqual(before);
});

test('when a chunk, a tag or a note arrives between the archive and the removal', async () => {
  const dataId = await makeRun(server, 'still used');
  for (const change of [
    () => send(server, dataId, 7, 'thickness', [1.7e9 + 70], [7]),
    () => send(server, dataId, 7, 'a new channel', [1.7e9 + 70], [7]),
    () => send(server, dataId, 0, 'thickness', [1.7e9], [8]),
    () => server.send('PATCH', `/data_entries/${dataId}`, { detail_note_content: 'look at this again' }),
  ]) {
    await makeOld(server, dataId);
    const folder = newFolder();
    const onStep = async (step: string, of: string) => {
      if (step === 'checked' && of === dataId) expect([200, 201]).toContain((await change()).status);
    };
    expect(await apply(server, folder, { onStep })).toContainEqual({ dataId, became: 'changed' });
    expect(readdirSync(folder).filter((name) => name.startsWith(dataId))).toEqual([]);
  }
  const { json } = await server.get(`/metrology/stream/${dataId}/certificate`);
  expect(json.chunk_count).toBe(5);
});

test('when chunks come while it is given up: each is stored in it or refused, and none is acknowledged beside the archive', async () => {
  const dataId = await makeRun(server, 'raced');
  await makeOld(server, dataId);
  const folder = newFolder();
  let answers: number[] = [];
  const onStep = async (step: string, of: string) => {
    if (step !== 'checked' || of !== dataId) return;
    const sent = Array.from({ length: 40 }, (_, i) =>
      send(server, dataId, 100 + i, i % 2 === 0 ? 'thickness' : `channel ${i}`, [1.7e9 + i], [i]),
    );
    // Not awaited: they race with what gives the run up.
    racing = Promise.all(sent).then((all) => {
      answers = all.map(({ status }) => status);
    });
  };
  let racing = Promise.resolve();
  const [outcome] = (await apply(server, folder, { onStep })).filter((one) => one.dataId === dataId);
  await racing;
  const stored = answers.filter((status) => status === 201).length;
  expect(answers.every((status) => status === 201 || status === 404)).toBe(true);
  if (outcome?.became === 'removed') expect(stored).toBe(0);
  else expect((await server.get(`/metrology/stream/${dataId}/certificate`)).json.chunk_count).toBe(3 + stored);
  if (outcome?.became === 'removed') expect(await remains(server, dataId)).toEqual([]);
});

test('when its archive is damaged on the disk', async () => {
  const dataId = await makeRun(server, 'damaged');
  await makeOld(server, dataId);
  const before = await told(server, dataId);
  for (const file of ['points.parquet', 'contents.parquet', 'certificate.json']) {
    const folder = newFolder();
    const damage = (step: string, of: string) => {
      if (step !== 'archived' || of !== dataId) return;
      const path = join(folder, readdirSync(folder)[0] as string, file);
      const bytes = readFileSync(path);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
      writeFileSync(path, bytes);
    };
    const [outcome] = (await apply(server, folder, { onStep: damage })).filter((one) => one.dataId === dataId);
    expect(outcome).toMatchObject({ became: 'failed', problem: expect.stringContaining(file) });
    expect(await told(server, dataId)).toEqual(before);
  }
});

// A cluster takes no triggers on the tables of streams.
test.skipIf(onCluster)(
  'when a restore breaks off: nothing of it is shown, and the next one brings all of it back',
  async () => {
    const dataId = await makeRun(server, 'restored twice');
    await makeOld(server, dataId);
    const before = await told(server, dataId);
    const folder = newFolder();
    await apply(server, folder);
    const path = join(folder, readdirSync(folder).find((name) => name.startsWith(dataId)) as string);
    // The second transaction of the restore fails.
    await server.owner.pool.query(`
      create function fail_once() returns trigger language plpgsql as $$ begin
        if new.chunk_index = 2 then raise exception 'out of luck'; end if; return new; end $$;
      create trigger fail_once before insert on chunks for each row execute function fail_once()`);
    const undo = 'drop trigger if exists fail_once on chunks; drop function if exists fail_once()';
    onTestFinished(() => server.owner.pool.query(undo).then(() => {}));
    await expect(restoreArchive(server.database, path, { limits: { restoredRowsMax: 1 } })).rejects.toThrow(
      'out of luck',
    );
    expect(await remains(server, dataId)).toContain('chunks');
    expect((await server.get(`/metrology/stream/${dataId}/certificate`)).status).toBe(404);
    await server.owner.pool.query(undo);
    await restoreArchive(server.database, path, { limits: { restoredRowsMax: 1 } });
    expect(await told(server, dataId)).toEqual(before);
  },
);
