import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { runningEmbeddedPostgres } from '../../src/database/embedded.ts';
import { buildServer, run, type Server, serve } from '../support/built-server.ts';

/* The command beside a server that takes chunks all the while, and killed again and again. */

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

const base = mkdtempSync(join(tmpdir(), 'metrology-retention-'));
const [dataDir, archives, rules] = [join(base, 'data'), join(base, 'archives'), join(base, 'rules.yaml')];
const settings = { DATA_DIR: dataDir, RETENTION_FILE: rules, RETENTION_DIR: archives };
let built: Awaited<ReturnType<typeof buildServer>>;
let server: Server;
beforeAll(async () => {
  writeFileSync(rules, 'retention:\n  - {organization: default, tag: old, older_than: 30d}\n');
  built = await buildServer();
  server = await serve(built.folder, settings);
});
afterAll(async () => {
  server?.child.kill('SIGTERM');
  await server?.exit();
  await built?.remove();
  rmSync(base, { recursive: true, force: true });
});

const key = () => readFileSync(join(dataDir, 'api-key'), 'utf8').trim();
async function call(method: string, path: string, body?: unknown) {
  const headers = { 'x-api-key': key(), 'content-type': 'application/json' };
  const answer = await fetch(server.endpoint + path, {
    method,
    headers,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, text, json: text === '' ? undefined : JSON.parse(text) };
}

async function makeRun(name: string, chunks: number, points: number): Promise<string> {
  const { json } = await call('POST', '/metrology/stream/initialize', {
    stream_name: name,
    points_per_chunk: points,
    tags: ['old'],
  });
  const numbers = (of: (i: number) => number) => Array.from({ length: points }, (_, i) => of(i));
  for (let chunk_index = 0; chunk_index < chunks; chunk_index++) {
    const timestamps = numbers((i) => 1.7e9 + chunk_index * points + i);
    const channel = (seed: number) => ({
      timestamps,
      values: numbers((i) => Math.sin(seed + i) + chunk_index),
      units: 'nm',
    });
    const body = { data_id: json.data_id, chunk_index, channels: { a: channel(1), b: channel(2) } };
    expect((await call('POST', '/metrology/stream/chunk/multi', body)).status).toBe(201);
  }
  const tag = await call('POST', '/tags/', { name: 'old' });
  await call('POST', '/tags/data-items/', { data_ids: [json.data_id], tag_ids: [tag.json.id] });
  await call('POST', `/metrology/stream/${json.data_id}/finalize`);
  return json.data_id;
}

async function makeAllOld(): Promise<void> {
  const client = new pg.Client({ connectionString: await runningEmbeddedPostgres(dataDir) });
  await client.connect();
  for (const table of ['streams', 'channels']) {
    await client.query(
      `update ${table} set created_at = created_at - interval '1 year', changed_at = changed_at - interval '1 year'`,
    );
  }
  await client.end();
}

const certificateOf = async (dataId: string) => {
  const { status, json } = await call('GET', `/metrology/stream/${dataId}/certificate`);
  return status === 200 ? { ...json, certified_at: null } : status;
};

const retention = (...args: string[]) =>
  run(built.folder, 'commands/metrology-server.js', ['retention', ...args], settings);

test('killed at any moment it loses nothing, others are answered in time meanwhile, and all comes back', async () => {
  const dataIds = [await makeRun('long', 150, 500)];
  for (let i = 0; i < 5; i++) dataIds.push(await makeRun(`short ${i}`, 5, 10));
  await makeAllOld();
  const before = await Promise.all(dataIds.map(certificateOf));

  const dry = retention('--json');
  expect((await dry.exit(60_000)).code, dry.stderr()).toBe(0);
  const { applied, rules: planned } = JSON.parse(dry.stdout());
  expect({ applied, runs: planned[0].runs.length, points: planned[0].points }).toEqual({
    applied: false,
    runs: 6,
    points: 150_500,
  });
  expect(readdirSync(base)).not.toContain('archives');

  const ingest = await startIngest();
  let killed = 0;
  for (let ms = 300; ; ms *= 1.5) {
    const program = retention('--apply', '--json');
    const ended = await Promise.race([program.exit(120_000), sleep(ms)]);
    if (ended !== undefined) {
      expect(ended.code, program.stderr()).toBe(0);
      break;
    }
    program.child.kill('SIGKILL');
    await program.exit();
    killed++;
    // Whatever it has left behind, a run is there as it was, or archived.
    const now = await Promise.all(dataIds.map(certificateOf));
    for (const [i, certificate] of now.entries()) {
      if (certificate === 404) expect(archivesOf(dataIds[i] as string)).toHaveLength(1);
      else expect(certificate).toEqual(before[i]);
    }
  }
  const { sent, slowestMs } = await ingest.stop();
  expect(killed).toBeGreaterThan(0);
  expect(sent).toBeGreaterThan(20);
  // The SDK waits 30 s. What is measured on a quiet machine stands in docs/retention.md.
  expect(slowestMs).toBeLessThan(10_000);
  console.log({ killed, sent, slowestMs });
  expect(await Promise.all(dataIds.map(certificateOf))).toEqual(dataIds.map(() => 404));

  const paths = dataIds.map((dataId) => join(archives, archivesOf(dataId)[0] as string));
  expect(readdirSync(archives)).toHaveLength(dataIds.length);
  const checked = retention('check', ...paths);
  expect((await checked.exit(60_000)).code, checked.stdout()).toBe(0);
  const restored = retention('restore', ...paths);
  expect((await restored.exit(60_000)).code, restored.stderr()).toBe(0);
  expect(restored.stdout().split('\n')[0]).toBe(`${dataIds[0]} is back: "long", 300 chunks, 150000 points.`);
  expect(await Promise.all(dataIds.map(certificateOf))).toEqual(before);
  const verified = run(built.folder, 'commands/metrology-server.js', ['verify'], settings);
  expect((await verified.exit(60_000)).code, verified.stdout()).toBe(0);
});

const archivesOf = (dataId: string) =>
  readdirSync(archives).filter((name) => name.startsWith(dataId) && !name.endsWith('.part'));

/** Sends chunks to a run of its own, one after the other. */
async function startIngest() {
  const { json } = await call('POST', '/metrology/stream/initialize', { stream_name: 'grows', points_per_chunk: 2 });
  let isStopped = false;
  const found = { sent: 0, slowestMs: 0 };
  const sending = (async () => {
    while (!isStopped) {
      const startedAt = performance.now();
      const body = {
        data_id: json.data_id,
        chunk_index: found.sent,
        channel_name: 'a',
        timestamps: [1.7e9, 1.7e9 + 1],
        values: [1, 2],
      };
      expect((await call('POST', '/metrology/stream/chunk', body)).status).toBe(201);
      found.slowestMs = Math.max(found.slowestMs, performance.now() - startedAt);
      found.sent++;
      await sleep(10);
    }
  })();
  return {
    async stop() {
      isStopped = true;
      await sending;
      return found;
    },
  };
}
