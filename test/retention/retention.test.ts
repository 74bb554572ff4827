import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { planRetention } from '../../src/retention/apply-rules.ts';
import { checkArchive } from '../../src/retention/check-archives.ts';
import { retentionLimits } from '../../src/retention/limits.ts';
import { restoreArchive } from '../../src/retention/restore-run.ts';
import { alone, RetentionBusy } from '../../src/retention/retention-lock.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { apply, everything, makeOld, makeRun, newFolder, remains, rulesOf, send, told } from './support/runs.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** A run with all that a run can have. */
async function fullRun(): Promise<string> {
  const sample = await server.post('/physical_samples/', { name: 'GaN-001' });
  const project = await server.post('/projects/', { name: 'GaN 2026' });
  const instrument = await server.post('/instruments/synthesis', {
    label: 'MBE',
    name: 'Veeco',
    type: 'mbe',
    serial_id: null,
  });
  const [physical_sample_id, project_id] = [sample.json.id, project.json.id];
  const synth_source_id = instrument.json.synth_source_id ?? instrument.json.id;
  const dataId = await makeRun(server, 'Run "7"\n', { physical_sample_id, project_id, synth_source_id });
  const tag = await server.post('/tags/', { name: 'Keep me' });
  await server.post('/tags/data-items/', { data_ids: [dataId], tag_ids: [tag.json.id] });
  await send(server, dataId, 0, 'thickness', [1.7e9, 1.7e9 + 0.1], [1, 2], 'nm');
  await send(server, dataId, 0, 'thickness', [1.7e9, 1.7e9 + 0.1], [3, null]);
  await server.send('PATCH', `/data_entries/${dataId}`, { detail_note_content: 'went well' });
  await server.post(`/metrology/stream/${dataId}/finalize`);
  await send(server, dataId, 5, 'thickness', [1.7e9 + 20], [9], 'nm');
  return dataId;
}

test('a run that is old is archived, removed, and comes back as it was, bit for bit', async () => {
  const dataId = await fullRun();
  await makeOld(server, dataId);
  const before = await told(server, dataId);
  expect(Object.values(before).map((answer) => (answer as [number])[0])).toEqual([200, 200, 200, 200, 200, 200]);
  const row = async () => {
    const { rows } = await server.owner.pool.query(
      `select to_jsonb(s) - 'changed_at' as stream, p.processed_data_id, p.created_at from streams s join processed_data_entries p using (data_id)
       where data_id = $1::uuid`,
      [dataId],
    );
    return rows[0];
  };
  const stored = await row();
  const folder = newFolder();

  const actor = { kind: 'operator', userName: 'ada' } as const;
  expect(await apply(server, folder, { actor })).toEqual([
    { dataId, became: 'removed', path: expect.stringContaining(dataId) },
  ]);
  expect(await remains(server, dataId)).toEqual([]);
  expect((await server.get(`/metrology/stream/${dataId}/certificate`)).status).toBe(404);
  const [name = ''] = readdirSync(folder);
  const path = join(folder, name);
  expect(readdirSync(path).sort()).toEqual([
    'certificate.json',
    'contents.parquet',
    'points.parquet',
    'revisions.parquet',
    'run.json',
  ]);

  const restored = await restoreArchive(server.database, path, { actor });
  expect(restored).toMatchObject({ dataId, name: 'Run "7"\n', chunks: 4, points: 9, wasThere: false, lost: [] });
  expect(await told(server, dataId)).toEqual(before);
  expect(await row()).toEqual(stored);
  expect((await restoreArchive(server.database, path)).wasThere).toBe(true);
  const log = await server.owner.pool.query(
    `select action, actor, user_name, details->>'stream_name' as name from audit_log
     where data_id = $1::uuid and action in ('stream.archive', 'stream.removed', 'stream.unarchive') order by happened_at`,
    [dataId],
  );
  const by = { actor: 'operator', user_name: 'ada', name: 'Run "7"\n' };
  expect(log.rows).toEqual([
    { action: 'stream.archive', ...by },
    { action: 'stream.removed', ...by },
    { action: 'stream.unarchive', ...by },
  ]);
  // Somebody wanted it back, so the rule leaves it alone for as long as the rule says.
  expect(await apply(server, folder)).toEqual([]);
  // And it goes on as a run does: an identical chunk is known.
  expect((await send(server, dataId, 5, 'thickness', [1.7e9 + 20], [9], 'nm')).status).toBe(201);
});

test('rules are for organizations, projects and tags; what is not old, deleted or of others stays, and so does all without --apply', async () => {
  const project = await server.post('/projects/', { name: 'Project P' });
  const [plain, ofProject, tagged, young, deleted] = [
    await makeRun(server, 'plain'),
    await makeRun(server, 'of project', { project_id: project.json.id }),
    await makeRun(server, 'tagged'),
    await makeRun(server, 'young'),
    await makeRun(server, 'deleted'),
  ];
  const foreign = (await server.post('/metrology/stream/initialize', { stream_name: 'foreign' }, server.keys.rival))
    .json.data_id;
  const tag = await server.post('/tags/', { name: 'scratch' });
  await server.post('/tags/data-items/', { data_ids: [tagged], tag_ids: [tag.json.id] });
  await server.send('DELETE', `/data_entries/?data_ids=${deleted}`);
  await makeOld(server, plain, ofProject, tagged, deleted, foreign);
  const rules = rulesOf(`
retention:
  - {organization: LAB, project: " project p ", older_than: 30d}
  - {organization: lab, tag: Scratch, older_than: 300d}
  - {organization: lab, tag: absent, older_than: 30d}
  - {organization: lab, older_than: 364d}
  - {organization: lab, older_than: 52w}
`);
  const planned = await planRetention(server.database, rules, { pageRunsMax: 1 });
  const ids = planned.map(({ runs }) => runs.map((run) => run.dataId));
  expect(ids).toEqual([[ofProject], [tagged], [], [plain], []]);
  expect(planned[2]?.problem).toBe('organization "lab" has no tag "absent"');
  expect(planned[3]).toMatchObject({
    points: 9,
    runs: [{ name: 'plain', isFinalized: false, chunks: 3, channels: 2 }],
  });
  expect(planned[3]?.bytes).toBeGreaterThan(0);
  expect(await planRetention(server.database, rules, { runsMax: 2 })).toMatchObject([
    { runs: [{}] },
    { runs: [{}] },
    {},
    { runs: [] },
    {},
  ]);
  for (const dataId of [plain, ofProject, tagged, young]) {
    expect((await server.get(`/metrology/stream/${dataId}/certificate`)).status).toBe(200);
  }
});

test('one process archives or restores at a time', async () => {
  await alone(server.database, async () => {
    await expect(apply(server, newFolder(), { limits: { lockMsMax: 50, lockPauseMs: 5 } })).rejects.toThrow(
      /waited 50 ms, lockMsMax/,
    );
    await expect(apply(server, newFolder(), { limits: { lockMsMax: 1 } })).rejects.toThrow(RetentionBusy);
  });
  await expect(apply(server, newFolder())).resolves.toBeDefined();
});

test('an archive goes into another organization, by name, and what it is linked to there or not is said', async () => {
  const sample = await server.post('/physical_samples/', { name: 'Wafer 9' });
  const dataId = await makeRun(server, 'moves', { physical_sample_id: sample.json.id });
  await makeOld(server, dataId);
  const folder = newFolder();
  await apply(server, folder);
  const path = join(folder, readdirSync(folder).find((name) => name.startsWith(dataId)) as string);
  const restored = await restoreArchive(server.database, path, { organization: 'rival' });
  expect(restored.lost).toEqual(['physical sample "Wafer 9" is not there any more']);
  expect((await server.get(`/metrology/stream/${dataId}/certificate`)).status).toBe(404);
  const { json } = await server.get(`/metrology/stream/${dataId}/certificate`, server.keys.rival);
  expect(json.root_hash).toBe((await checkArchive(path, retentionLimits)).certificate.root_hash);
  // Of another organization no key is told.
  const { rows } = await server.owner.pool.query('select distinct key_id from chunks where data_id = $1::uuid', [
    dataId,
  ]);
  expect(rows).toEqual([{ key_id: 0 }]);
});

test('every table with rows of a run is in the archive, or made anew of them', async () => {
  const { rows } = await server.owner.pool.query<{ name: string }>(
    `select c.relname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
     where a.attname = 'data_id' and c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace order by 1`,
  );
  const archived = ['channels', 'chunk_revisions', 'chunks', 'processed_data_entries', 'stream_tags', 'streams'];
  // The log of who did what outlives its streams.
  expect(rows.map(({ name }) => name)).toEqual([...archived, 'audit_log', 'overviews'].sort());
  const columns = await server.owner.pool.query<{ name: string }>(
    `select attname as name from pg_attribute where attrelid = 'streams'::regclass and attnum > 0 and not attisdropped order by 1`,
  );
  expect(columns.rows.map(({ name }) => name)).toEqual(
    [
      ...[
        'data_id',
        'organization_id',
        'user_id',
        'stream_name',
        'points_per_chunk',
        'instrument_type',
        'synth_source_id',
      ],
      ...['physical_sample_id', 'project_id', 'created_at', 'changed_at', 'finalized_at', 'deleted_at', 'removed_at'],
      ...['pipeline_status', 'char_source_type', 'note', 'note_changed_at'],
    ].sort(),
  );
  expect(everything).toHaveLength(1);
});

test('every bound is met', async () => {
  const dataId = await makeRun(server, 'bounded');
  for (const value of [1, 2, 3]) await send(server, dataId, 0, 'thickness', [1.7e9], [value], 'nm');
  await makeOld(server, dataId);
  const before = await told(server, dataId);
  const folder = newFolder();
  const outcomeOf = async (limits: Partial<typeof retentionLimits>) =>
    (await apply(server, folder, { limits })).find((outcome) => outcome.dataId === dataId);
  expect((await outcomeOf({ channelsMax: 1 }))?.problem).toBe('an export holds at most 1 channels; choose fewer');
  expect((await outcomeOf({ documentBytesMax: 100 }))?.problem).toMatch(/at most 100 are read \(documentBytesMax\)/);
  expect(await told(server, dataId)).toEqual(before);
  // A folder that cannot be written ends the call.
  const file = join(folder, 'file');
  writeFileSync(file, '');
  await expect(apply(server, join(file, 'archives'))).rejects.toThrow('ENOTDIR');
  expect((await outcomeOf({ pageFactsMax: 1, pageRevisionsMax: 1, pageRunsMax: 1 }))?.became).toBe('removed');
  const path = join(folder, readdirSync(folder).find((name) => name.startsWith(dataId)) as string);
  await restoreArchive(server.database, path, { limits: { restoredPointsMax: 4 } });
  expect(await told(server, dataId)).toEqual(before);
});
