import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { buildApp } from '../../src/app.ts';
import { backupName } from '../../src/backups/folder.ts';
import { readBackup } from '../../src/backups/read-backup.ts';
import { createSchedule, type Schedule, type ScheduleOptions } from '../../src/backups/schedule.ts';
import { loginOf } from '../support/global-setup.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { arriving } from './support/content.ts';

let server: TestServer;
let folder: string;
let now: number;
const hour = 3_600_000;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());
beforeEach(async () => {
  const parent = await mkdtemp(join(tmpdir(), 'metrology-schedule-'));
  onTestFinished(() => rm(parent, { recursive: true, force: true }));
  folder = join(parent, 'backups');
  now = Date.parse('2026-01-31T08:00:00Z');
});

/** One that has looked once, as a server has that has started. */
async function begun(given: Partial<ScheduleOptions> = {}): Promise<Schedule & { told: string[] }> {
  const told: string[] = [];
  const log = {
    info: (_: object, message: string) => void told.push(message),
    error: ({ err }: { err?: Error }, message: string) => void told.push(`${message}: ${err?.message}`),
  };
  const schedule = createSchedule({
    folder,
    everyMs: 24 * hour,
    keep: 2,
    log,
    now: () => now,
    ...given,
  } as ScheduleOptions);
  onTestFinished(() => schedule.stop());
  schedule.start(loginOf(server.databaseUrl));
  await schedule.look();
  return { ...schedule, told };
}

test('one is made at once where there is none, then when it is due, and the last ones stay', async () => {
  const schedule = await begun();
  expect(await readdir(folder)).toEqual(['metrology-20260131T080000Z.backup']);
  const { contents } = await readBackup(arriving(await readFile(join(folder, backupName(now))), 65_536));
  expect(contents.tables.find(({ name }) => name === 'api_keys')?.rows).toBe(3);
  expect(schedule.ageSeconds()).toBe(0);
  now += 23 * hour;
  await schedule.look();
  expect([await readdir(folder), schedule.ageSeconds()]).toEqual([['metrology-20260131T080000Z.backup'], 23 * 3_600]);
  await writeFile(join(folder, 'notes'), 'of somebody');
  await writeFile(join(folder, 'metrology-20260101T000000Z.backup.77.part'), 'of a server that was killed');
  for (const _ of [1, 2]) {
    now += 24 * hour;
    await schedule.look();
  }
  expect((await readdir(folder)).sort()).toEqual([
    ...['metrology-20260202T070000Z.backup', 'metrology-20260203T070000Z.backup', 'notes'],
  ]);
  expect(schedule.told).toEqual(Array(3).fill('a backup was made'));
});

test('of many servers with one folder one makes it, and all know its age; what is deleted is gone', async () => {
  const many = await Promise.all([begun(), begun(), begun()]);
  expect(await readdir(folder)).toHaveLength(1);
  expect(many.flatMap(({ told }) => told)).toEqual(['a backup was made']);
  now += 5_000;
  await Promise.all(many.map((one) => one.look()));
  expect(many.map((one) => one.ageSeconds())).toEqual([5, 5, 5]);
  await rm(join(folder, backupName(now - 5_000)));
  await many[0]?.look();
  expect(await readdir(folder)).toEqual([backupName(now)]);
});

test('one that fails is told and counted, leaves nothing, and is tried again after retryMs', async () => {
  await server.owner.pool.query('alter policy every_organization on tags to metrology_api');
  const schedule = await begun({ limits: { retryMs: 60_000 } });
  const failed = /^a scheduled backup failed: The server's role may not read every row of tags/;
  expect(schedule.told).toEqual([expect.stringMatching(failed)]);
  // There is none, so its age counts from 1970.
  expect([await readdir(folder), schedule.ageSeconds(), schedule.failureCount()]).toEqual([[], now / 1_000, 1]);
  await server.owner.pool.query('alter policy every_organization on tags to metrology_service');
  now += 59_999;
  await schedule.look();
  expect(schedule.told).toHaveLength(1);
  now += 1;
  await schedule.look();
  expect(schedule.told).toEqual([expect.stringMatching(failed), 'a backup was made']);
  expect(schedule.failureCount()).toBe(1);
});

test('a folder that cannot be made is a failure that says so', async () => {
  await writeFile(folder, 'a file');
  const schedule = await begun();
  expect(schedule.told).toEqual([expect.stringMatching(/^a scheduled backup failed: ENOTDIR/)]);
  await chmod(folder, 0o600);
});

test('/metrics shows its age and how often it failed', async () => {
  const schedule = await begun();
  now += 90_000;
  const app = await buildApp({
    config: {
      ...{ FINALIZE_GRACE_SECONDS: 120, STREAM_IDLE_SECONDS: 60, BODY_LIMIT_BYTES: 1_024, BODIES_LIMIT_BYTES: 1_024 },
      ...{ REFERENCE_CLOCK: false, SESSION_HOURS: 1, METRICS_OPEN: true },
    },
    database: server.database,
    log: pino({ level: 'silent' }),
    backups: schedule,
  });
  const { payload } = await app.inject({ url: '/metrics' });
  expect(payload).toMatch(/^metrology_backup_age_seconds 90$/m);
  expect(payload).toMatch(/^metrology_backup_failures_total 0$/m);
  await app.close();
  const promtool = spawnSync('promtool', ['check', 'metrics'], { input: payload, encoding: 'utf8' });
  if (promtool.error === undefined) expect(promtool).toMatchObject({ status: 0, stdout: '', stderr: '' });
});
