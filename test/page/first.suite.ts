import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Server, serve } from '../support/built-server.ts';
import { expectAccessible, isDrawn, launch, picture, type Visitor, visit } from './support/browser.ts';

/** The first minutes of a newcomer: a server that has just been started, its link, and a demo where no run is yet. */
let folder: string;
let server: Server;
let browser: Browser;
let newcomer: Visitor;
/** What the first start prints, as a path of the server. */
let link: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `metrology-page-${randomUUID().slice(0, 8)}-`));
  const project = fileURLToPath(new URL('../..', import.meta.url));
  [server, browser] = await Promise.all([serve(project, { DATA_DIR: join(folder, 'data') }), launch()]);
  const printed = /\S+(\/#token=\S+)/.exec(server.stdout());
  if (printed === null) throw new Error(`No link was printed:\n${server.stdout()}`);
  link = printed[1] as string;
  newcomer = await visit(browser, server.endpoint);
});
afterAll(async () => {
  await browser?.close();
  server?.child.kill('SIGTERM');
  await server?.exit();
  await rm(folder, { recursive: true, force: true });
});

test('the link signs in once, and its token is nowhere afterwards', async () => {
  const page = await newcomer.open(link);
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  const token = link.split('=')[1] as string;
  expect(page.url()).not.toContain(token);
  const kept = await page.evaluate(
    'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, document.documentElement.outerHTML])',
  );
  expect(kept).not.toContain(token);
  await page.goBack();
  expect(page.url()).not.toContain(token);
  await page.close();
  // Whoever has opened it may do so again; somebody else is told why nothing opens.
  const again = await newcomer.open(link);
  await again.getByRole('button', { name: 'Sign out' }).waitFor();
  await again.close();
  const other = await visit(browser, server.endpoint);
  const late = await other.open(link);
  await expect.poll(() => late.locator('#said').textContent()).toContain('The link has been used');
  expect(late.url()).not.toContain(token);
  await expectAccessible(late);
  expect(other.complaints).toEqual([]);
  await other.context.close();
});

test('where no run is a demo is streamed by a button, and grows until its end', async () => {
  const page = await newcomer.open('/');
  await page.getByRole('heading', { name: 'No run yet' }).waitFor();
  expect(await page.locator('.welcome pre').textContent()).toContain(`endpoint="${server.endpoint}"`);
  await expectAccessible(page);
  await picture(page, 'no-run-yet');
  await page.getByRole('button', { name: 'Stream a demo' }).click();
  await page.getByRole('heading', { name: 'Demo: Seattle 2010' }).waitFor();
  await isDrawn(page, 96);
  await page.getByText('following').waitFor();
  await expect.poll(() => page.locator('.plot-card h2').allTextContents()).toEqual(['pressure', 'temperature', 'wind']);
  await picture(page, 'demo');
  const status = page.locator('.run-head .status');
  await expect.poll(() => status.textContent(), { timeout: 180_000, interval: 500 }).toBe('finalized');
  await expect.poll(() => page.locator('.facts').textContent()).toContain('no chunk missing');
  await page.goto(server.endpoint);
  await page.getByRole('link', { name: 'Demo: Seattle 2010' }).waitFor();
  expect(await page.getByRole('button', { name: 'Stream a demo' }).count()).toBe(0);
  expect(newcomer.complaints).toEqual([]);
  await page.close();
}, 240_000);
