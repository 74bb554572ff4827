import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isDrawn, launch, picture, visit } from './support/browser.ts';
import { finalize, type Lab, openLab, openRun, type Readings, sendChunk, sendTo } from './support/lab.ts';

/** What a page shows of runs that grow while it is open. `FULL=1` runs the ten minutes of fifty channels. */
const isFull = process.env.FULL === '1';

let lab: Lab;
let browser: Browser;
const send = (path: string, body: unknown) => sendTo(lab.server)(path, body);

beforeAll(async () => {
  [lab, browser] = await Promise.all([openLab(), launch()]);
});
afterAll(async () => {
  await browser?.close();
  await lab?.close();
});

/** The newest instant in the picture of the first plot, in Unix ms. */
const newestOf = async (page: Page) => Number(await page.locator('.plot').first().getAttribute('data-newest'));
const start = Date.UTC(2026, 0, 31, 8) / 1_000;
const one = (index: number, count = 10): Record<string, Readings> => {
  const timestamps = Array.from({ length: count }, (_, i) => start + (index * count + i) * 0.1);
  return { rate: { timestamps, values: timestamps.map((time) => Math.sin(time)), units: 'nm/s' } };
};

describe('a run that grows', () => {
  test('is empty, then followed, until one looks back, and again', async () => {
    const dataId = await openRun(send, { pointsPerChunk: 10 });
    const visitor = await visit(browser, lab.address, { key: lab.key });
    const page = await visitor.open(`/?run=${dataId}`);
    await page.getByText('holds no readings yet').waitFor();
    await sendChunk(send, dataId, 0, one(0));
    await isDrawn(page, 10);
    for (let i = 1; i < 10; i++) await sendChunk(send, dataId, i, one(i));
    await isDrawn(page, 100);
    await page.getByText('following').waitFor();
    expect(await newestOf(page)).toBe(Math.round((start + 9.9) * 1_000));

    await page.getByRole('button', { name: 'Zoom in' }).click();
    await page.getByRole('button', { name: 'Follow again' }).waitFor();
    const before = page.url();
    for (let i = 10; i < 15; i++) await sendChunk(send, dataId, i, one(i));
    // The newest reading in large digits goes on; the window does not move.
    await expect.poll(() => page.locator('.facts').textContent()).toContain('150 points');
    expect(page.url()).toBe(before);
    await page.getByRole('button', { name: 'Follow again' }).click();
    await expect.poll(() => newestOf(page)).toBe(Math.round((start + 14.9) * 1_000));
    await sendChunk(send, dataId, 15, one(15));
    await expect.poll(() => newestOf(page)).toBe(Math.round((start + 15.9) * 1_000));
    await page.getByRole('button', { name: 'All', exact: true }).click();
    await isDrawn(page, 160);

    await finalize(send, dataId);
    await expect.poll(() => page.locator('.run-head .status').textContent()).toBe('finalized');
    expect(visitor.complaints).toEqual([]);
    await visitor.context.close();
  });

  test('a gap, the late chunk that fills it, and a chunk that is replaced are seen at once', async () => {
    const dataId = await openRun(send, { pointsPerChunk: 10 });
    const visitor = await visit(browser, lab.address, { key: lab.key });
    const page = await visitor.open(`/?run=${dataId}`);
    for (const i of [0, 1, 2, 5, 6]) await sendChunk(send, dataId, i, one(i));
    await isDrawn(page, 50);
    await expect.poll(() => page.locator('.said').textContent()).toContain('▨ 2 missing');
    await expect.poll(() => page.locator('.facts').textContent()).toContain('2 chunks missing');
    await sendChunk(send, dataId, 4, one(4));
    await isDrawn(page, 60);
    await expect.poll(() => page.locator('.said').textContent()).toContain('▨ 1 missing');
    await sendChunk(send, dataId, 3, one(3));
    await isDrawn(page, 70);
    await expect.poll(() => page.locator('.said').textContent()).not.toContain('missing');
    // A replacement leaves every counter as it was.
    const other = one(2).rate as Readings;
    await sendChunk(send, dataId, 2, { rate: { ...other, values: other.values.map(() => 42) } });
    await expect.poll(() => page.locator('.plot').first().getAttribute('aria-label')).toContain('to 42');
    await expect.poll(() => page.locator('.said').textContent()).toContain('▼ 1 replaced');
    await visitor.context.close();
  });

  test('the last chunk is drawn, whenever it comes while a slow page opens the run or draws its first plot', async () => {
    const visitor = await visit(browser, lab.address, { key: lab.key });
    for (let round = 0; round < 7; round++) {
      const dataId = await openRun(send, { pointsPerChunk: 10 });
      const page = await visitor.open(`/?run=${dataId}`);
      await page.getByText('holds no readings yet').waitFor();
      const cpu = await page.context().newCDPSession(page);
      await cpu.send('Emulation.setCPUThrottlingRate', { rate: 20 });
      await sendChunk(send, dataId, 0, one(0));
      await sleep(90 * round);
      await sendChunk(send, dataId, 1, one(1));
      await isDrawn(page, 20);
      await page.close();
    }
    await visitor.context.close();
  });

  test('of a run that was empty for long, missing chunks are told too', async () => {
    const dataId = await openRun(send, { pointsPerChunk: 10 });
    const visitor = await visit(browser, lab.address, { key: lab.key });
    const page = await visitor.open(`/?run=${dataId}`);
    await page.getByText('holds no readings yet').waitFor();
    // The page has read which chunks there are: none.
    await page.waitForResponse((response) => response.url().includes('/chunks'), { timeout: 20_000 });
    await sendChunk(send, dataId, 0, one(0));
    await sendChunk(send, dataId, 3, one(3));
    await isDrawn(page, 20);
    await expect.poll(() => page.locator('.facts').textContent()).toContain('2 chunks missing');
    await visitor.context.close();
  });

  test('a channel that comes later gets a plot; one with a name that the SDK keeps for itself too', async () => {
    const dataId = await openRun(send, { pointsPerChunk: 10 });
    await sendChunk(send, dataId, 0, one(0));
    const visitor = await visit(browser, lab.address, { key: lab.key });
    const page = await visitor.open(`/?run=${dataId}`);
    await isDrawn(page, 10);
    await sendChunk(send, dataId, 1, { ...one(1), Time: one(1).rate as Readings });
    await page.getByRole('heading', { name: 'Time' }).waitFor();
    const plotOf = (name: string) => page.getByLabel(`Plot of ${name}`).locator('.plot').getAttribute('data-points');
    await expect.poll(() => plotOf('Time')).toBe('10');
    await expect.poll(() => plotOf('rate')).toBe('20');
    await visitor.context.close();
  });
});

test('the list of runs follows: a new run comes to the top, one that ends leaves it', async () => {
  const visitor = await visit(browser, lab.address, { key: lab.key });
  const page = await visitor.open('/?search=listed');
  await page.getByText('No run matches.').waitFor();
  const dataId = await openRun(send, { name: 'listed run', pointsPerChunk: 10 });
  await sendChunk(send, dataId, 0, one(0));
  const row = page.locator('.run-table tbody tr', { hasText: 'listed run' });
  await row.waitFor();
  await sendChunk(send, dataId, 1, one(1));
  await expect.poll(() => row.locator('.number').nth(1).textContent()).toBe('20');
  expect(await row.locator('.status').textContent()).toBe('live');
  await finalize(send, dataId);
  await expect.poll(() => row.locator('.status').textContent()).toBe('finalized');
  await visitor.context.close();
});

test('ten tabs of one browser all follow, on the connections that a browser has', async () => {
  const visitor = await visit(browser, lab.address, { key: lab.key });
  const runs = await Promise.all(
    Array.from({ length: 10 }, (_, i) => openRun(send, { name: `tab ${i}`, pointsPerChunk: 10 })),
  );
  for (const dataId of runs) await sendChunk(send, dataId, 0, one(0));
  const pages: Page[] = [];
  for (const dataId of runs) pages.push(await visitor.open(`/?run=${dataId}`));
  for (const page of pages) {
    // A tab in the background draws no frames; a browser would wake it when somebody looks at it.
    await page.bringToFront();
    await isDrawn(page, 10);
  }
  for (const dataId of runs) await sendChunk(send, dataId, 1, one(1));
  for (const page of pages) {
    await page.bringToFront();
    await isDrawn(page, 20);
  }
  await visitor.context.close();
});

test(
  'from the commit of a chunk to its pixels, many channels at ten a second',
  async () => {
    const [channels, seconds] = isFull ? [50, 600] : [50, 60];
    const dataId = await openRun(send, { name: 'fifty channels', pointsPerChunk: 10 });
    const names = Array.from({ length: channels }, (_, i) => `channel ${String(i).padStart(2, '0')}`);
    const chunk = (index: number) => {
      const { rate } = one(index, 10);
      return Object.fromEntries(
        names.map((name, i) => [
          name,
          { ...(rate as Readings), values: (rate as Readings).values.map((value) => (value as number) + i) },
        ]),
      );
    };
    await sendChunk(send, dataId, 0, chunk(0));
    const visitor = await visit(browser, lab.address, { key: lab.key });
    const page = await visitor.open(`/?run=${dataId}&last=60`);
    await isDrawn(page, 10);
    // Told by the page itself whenever its picture changes, by the same clock as this process.
    await page.evaluate(`(() => {
    const plot = document.querySelector('.plot');
    globalThis.drawn = [];
    globalThis.frames = [];
    new MutationObserver(() => globalThis.drawn.push([Number(plot.dataset.newest), Date.now()])).observe(plot, { attributeFilter: ['data-newest'] });
    let before = performance.now();
    const frame = (now) => { globalThis.frames.push(now - before); before = now; requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
  })()`);
    const heap = async () => {
      await page.evaluate('globalThis.gc?.()');
      const client = await page.context().newCDPSession(page);
      await client.send('HeapProfiler.collectGarbage');
      const { usedSize } = (await client.send('Runtime.getHeapUsage')) as { usedSize: number };
      await client.detach();
      return usedSize;
    };
    const committed = new Map<number, number>();
    let heapStart = 0;
    for (let index = 1; index <= seconds; index++) {
      const next = sleep(1_000);
      await sendChunk(send, dataId, index, chunk(index));
      committed.set(Math.round((start + (index * 10 + 9) * 0.1) * 1_000), Date.now());
      if (index === Math.ceil(seconds / 3)) heapStart = await heap();
      await next;
    }
    await expect.poll(() => newestOf(page)).toBe(Math.round((start + seconds + 0.9) * 1_000));
    const drawn = (await page.evaluate('globalThis.drawn')) as [number, number][];
    const frames = ((await page.evaluate('globalThis.frames')) as number[]).sort((a, b) => a - b);
    const latencies = [...committed]
      .map(([newest, at]) => (drawn.find(([shown]) => shown >= newest)?.[1] ?? Number.POSITIVE_INFINITY) - at)
      .sort((a, b) => a - b);
    const [median, p99] = [quantile(latencies, 0.5), quantile(latencies, 0.99)];
    const grown = (await heap()) - heapStart;
    console.log(
      `commit to pixels: median ${median} ms, p99 ${p99} ms; frames: median ${quantile(frames, 0.5).toFixed(0)} ms, p99.9 ${quantile(frames, 0.999).toFixed(0)} ms; heap grew ${(grown / 1e6).toFixed(1)} MB`,
    );
    await picture(page, 'fifty-channels');
    // A shared machine stops everything now and then for longer than the page ever takes, and of a minute the 99 of 100 are the slowest
    // one: it is held to the median alone, ten minutes by themselves to 1 and 2 s.
    expect(median).toBeLessThanOrEqual(isFull ? 1_000 : 5_000);
    if (isFull) expect(p99).toBeLessThanOrEqual(2_000);
    expect(grown).toBeLessThan(8_000_000);
    if (isFull) expect(quantile(frames, 0.999)).toBeLessThan(100);
    await visitor.context.close();
  },
  isFull ? 700_000 : 120_000,
);

const quantile = (sorted: readonly number[], part: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] as number;
