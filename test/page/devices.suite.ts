import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isDrawn, launch, picture, sizes, type Visitor, visit } from './support/browser.ts';
import { growth, type Lab, openLab, openRun, sendChunk, sendTo } from './support/lab.ts';

/** Tablets, and browsers that lack what others have. */
const start = Date.UTC(2026, 0, 31, 8) / 1_000;
let lab: Lab;
let browser: Browser;
const send = (path: string, body: unknown) => sendTo(lab.server)(path, body);
const chunk = (index: number) => growth(index * 100, 100, start);

beforeAll(async () => {
  [lab, browser] = await Promise.all([openLab(), launch()]);
});
afterAll(async () => {
  await browser?.close();
  await lab?.close();
});

/** The window in the address. */
async function windowOf(page: Page): Promise<{ fromMs: number; toMs: number }> {
  const query = new URL(page.url()).searchParams;
  return { fromMs: Number(query.get('from')), toMs: Number(query.get('to')) };
}

interface Finger {
  x: number;
  y: number;
}

/** Fingers that go down together, move in steps and go up. */
async function touch(page: Page, from: Finger[], to: Finger[]): Promise<void> {
  const client = await page.context().newCDPSession(page);
  const at = (part: number) =>
    from.map(({ x, y }, id) => {
      const end = to[id] as Finger;
      return { id, x: x + (end.x - x) * part, y: y + (end.y - y) * part };
    });
  await client.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: at(0) });
  for (let step = 1; step <= 10; step++) {
    await client.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: at(step / 10) });
  }
  await client.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  await client.detach();
}

test('fingers on a plot: one moves the window, two zoom into it, and up or down scrolls the page', async () => {
  const dataId = await openRun(send, { pointsPerChunk: 100 });
  for (const index of [0, 1, 2, 3]) await sendChunk(send, dataId, index, chunk(index));
  const visitor: Visitor = await visit(browser, lab.address, { key: lab.key, size: sizes.phone, hasTouch: true });
  const [fromMs, toMs] = [start * 1_000 + 10_000, start * 1_000 + 30_000];
  const page = await visitor.open(`/?run=${dataId}&from=${fromMs}&to=${toMs}`);
  await isDrawn(page, 100);
  const box = await page.locator('.plot .u-over').first().boundingBox();
  if (box === null) throw new Error('no plot');
  const finger = (x: number, y = 0.5): Finger => ({ x: box.x + box.width * x, y: box.y + box.height * y });

  // To the left by half a width: what is later comes into sight.
  await touch(page, [finger(0.75)], [finger(0.25)]);
  await expect.poll(async () => Math.round((await windowOf(page)).fromMs / 1_000)).toBe(fromMs / 1_000 + 10);
  const moved = await windowOf(page);
  expect((moved.toMs - moved.fromMs) / (toMs - fromMs)).toBeCloseTo(1, 2);

  // Apart from a third to twice that: half of the time is left, around the middle.
  await touch(page, [finger(0.4), finger(0.6)], [finger(0.3), finger(0.7)]);
  await expect
    .poll(async () => Math.round((await windowOf(page)).toMs - (await windowOf(page)).fromMs))
    .toBeLessThan(10_500);
  const zoomed = await windowOf(page);
  expect(zoomed.toMs - zoomed.fromMs).toBeGreaterThan(9_500);
  expect((zoomed.fromMs + zoomed.toMs) / 2 / 1_000).toBeCloseTo((moved.fromMs + moved.toMs) / 2 / 1_000, 0);
  await picture(page, 'touched');

  await touch(page, [finger(0.5, 0.9)], [finger(0.5, -1.5)]);
  await expect.poll(() => page.evaluate('scrollY')).toBeGreaterThan(50);
  expect(await windowOf(page)).toEqual(zoomed);
  expect(visitor.complaints).toEqual([]);
  await visitor.context.close();
});

test('a browser without shared workers follows by a connection of its own', async () => {
  const dataId = await openRun(send, { pointsPerChunk: 100 });
  await sendChunk(send, dataId, 0, chunk(0));
  const visitor = await visit(browser, lab.address, { key: lab.key });
  await visitor.context.addInitScript('delete globalThis.SharedWorker');
  const asked: string[] = [];
  const page = await visitor.open('/');
  page.on('request', (request) => asked.push(request.url()));
  await page.goto(new URL(`/?run=${dataId}`, lab.address).href);
  expect(await page.evaluate("'SharedWorker' in globalThis")).toBe(false);
  await isDrawn(page, 100);
  await sendChunk(send, dataId, 1, chunk(1));
  await isDrawn(page, 200);
  // The requests of a shared worker are not those of the page.
  expect(asked.filter((url) => url.includes('/live?'))).toEqual([`${lab.address}/live?data_id=${dataId}`]);
  // Back at the list it is told of the list, and of the run no more.
  await page.getByRole('link', { name: '← Runs' }).click();
  await page.locator('.run-table tbody tr').first().waitFor();
  await expect.poll(() => asked.filter((url) => url.endsWith('/live')).length).toBeGreaterThan(0);
  expect(visitor.complaints).toEqual([]);
  await visitor.context.close();
});
