import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type Server, serve, servingPids } from '../support/built-server.ts';
import { administer } from '../support/global-setup.ts';
import { expectAccessible, isDrawn, launch, picture, type Visitor, visit } from './support/browser.ts';
import { type Cable, openCable } from './support/cable.ts';
import { accepted, type Lab, openLab, openRun, type Readings, type Send, sendChunk, sendTo } from './support/lab.ts';

/** Servers, networks and databases that go away: the page says so, comes back by itself, and shows what is stored. */
let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());

const start = Date.UTC(2026, 0, 31, 8) / 1_000;
const chunk = (index: number): Record<string, Readings> => {
  const timestamps = Array.from({ length: 10 }, (_, i) => start + index * 10 + i);
  return { rate: { timestamps, values: timestamps.map((time) => Math.sin(time)), units: 'nm/s' } };
};
const banner = (page: Page) => page.locator('.banner');
const isQuiet = (page: Page) => expect.poll(() => banner(page).count(), { timeout: 45_000 }).toBe(0);

describe('a network that is cut', () => {
  let lab: Lab;
  let cable: Cable;
  let visitor: Visitor;
  let send: Send;
  beforeAll(async () => {
    lab = await openLab();
    cable = await openCable(lab.address);
    visitor = await visit(browser, cable.address, { key: lab.key });
    send = sendTo(lab.server);
  });
  afterAll(async () => {
    await visitor?.context.close();
    await cable?.close();
    await lab?.close();
  });

  test('without a word: the silence is said, and afterwards everything is there', async () => {
    const dataId = await openRun(send, { pointsPerChunk: 10 });
    for (const index of [0, 1]) await sendChunk(send, dataId, index, chunk(index));
    const page = await visitor.open(`/?run=${dataId}`);
    await isDrawn(page, 20);
    cable.pull();
    for (const index of [2, 3, 5]) await sendChunk(send, dataId, index, chunk(index));
    const other = chunk(0).rate as Readings;
    await sendChunk(send, dataId, 0, { rate: { ...other, values: other.values.map(() => 42) } });
    await expect
      .poll(() => banner(page).first().textContent({ timeout: 90_000 }), { timeout: 90_000 })
      .toMatch(/Not connected since .*silent/);
    await expectAccessible(page);
    await picture(page, 'not-connected');
    cable.plug();
    // It may have found the way by itself before somebody asks for it.
    await page
      .getByRole('button', { name: 'Try now' })
      .click({ timeout: 1_000 })
      .catch(() => {});
    await isDrawn(page, 50);
    await isQuiet(page);
    await expect.poll(() => page.locator('.plot').getAttribute('aria-label')).toContain('to 42');
    await expect.poll(() => page.locator('.said').textContent()).toContain('▨ 1 missing');
    await sendChunk(send, dataId, 6, chunk(6));
    await isDrawn(page, 60);
    await page.close();
  }, 180_000);

  test('a key that is revoked ends the session of the page', async () => {
    const dataId = await openRun(send, { pointsPerChunk: 10 });
    const key = lab.server.keys.grace;
    const grace = await visit(browser, lab.address, { key });
    const page = await grace.open(`/?run=${dataId}`);
    await page.getByText('holds no readings yet').waitFor();
    await lab.server.owner.pool.query(
      "update api_keys set revoked_at = now() where user_id = (select user_id from users where name = 'grace')",
    );
    await expect
      .poll(() => page.locator('#said').textContent({ timeout: 60_000 }), { timeout: 60_000 })
      .toContain('The session is over');
    await grace.context.close();
  }, 90_000);
});

test('PostgreSQL is away: the page says what the server says, and reads again when it is back', async () => {
  const lab = await openLab();
  const send = sendTo(lab.server);
  const dataId = await openRun(send, { pointsPerChunk: 10 });
  for (const index of [0, 1]) await sendChunk(send, dataId, index, chunk(index));
  const visitor = await visit(browser, lab.address, { key: lab.key });
  const page = await visitor.open(`/?run=${dataId}`);
  await isDrawn(page, 20);
  const name = new URL(lab.server.databaseUrl).pathname.slice(1);
  const adminUrl = inject('adminUrl');
  await administer(adminUrl, `alter database ${name} allow_connections false`);
  await administer(adminUrl, `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
  await page.getByRole('button', { name: 'Zoom out' }).click();
  await page.getByRole('button', { name: 'Zoom out' }).click();
  await expect
    .poll(() => banner(page).first().textContent({ timeout: 60_000 }), { timeout: 60_000 })
    .toMatch(/Reading the data: |Not connected/);
  await picture(page, 'postgres-away');
  await administer(adminUrl, `alter database ${name} allow_connections true`);
  await isQuiet(page);
  await sendChunk(send, dataId, 2, chunk(2));
  await page.getByRole('button', { name: 'All', exact: true }).click();
  await isDrawn(page, 30);
  await visitor.context.close();
  await lab.close();
}, 180_000);

test('the server is killed and started: the page says so, and shows what is stored, the session too', async () => {
  const project = fileURLToPath(new URL('../..', import.meta.url));
  const folder = await mkdtemp(join(tmpdir(), `metrology-page-${randomUUID().slice(0, 8)}-`));
  const settings = { DATA_DIR: join(folder, 'data') };
  let server: Server = await serve(project, settings);
  const cable = await openCable(server.endpoint);
  try {
    const key = (await readFile(join(settings.DATA_DIR, 'api-key'), 'utf8')).trim();
    const send: Send = async (path, body) => {
      const headers = { 'content-type': 'application/json', 'x-api-key': key };
      const answer = await fetch(server.endpoint + path, { method: 'POST', headers, body: JSON.stringify(body) });
      return { status: answer.status, json: (await answer.json()) as Record<string, string> };
    };
    const dataId = await openRun(send, { pointsPerChunk: 10 });
    await sendChunk(send, dataId, 0, chunk(0));
    const visitor = await visit(browser, cable.address, { key });
    const page = await visitor.open(`/?run=${dataId}`);
    await isDrawn(page, 10);
    for (const pid of [server.child.pid as number, ...servingPids(server)]) process.kill(pid, 'SIGKILL');
    await expect.poll(() => banner(page).first().textContent()).toContain('Not connected since');
    server = await serve(project, settings);
    await sendChunk(send, dataId, 1, chunk(1));
    cable.lead(server.endpoint);
    await isDrawn(page, 20);
    await isQuiet(page);
    await sendChunk(send, dataId, 2, chunk(2));
    await isDrawn(page, 30);
    await accepted(send(`/metrology/stream/${dataId}/finalize`, {}));
    await expect.poll(() => page.locator('.run-head .status').textContent()).toBe('finalized');
    await visitor.context.close();
  } finally {
    server.child.kill('SIGTERM');
    await server.exit();
    await cable.close();
    await rm(folder, { recursive: true, force: true });
  }
}, 180_000);
