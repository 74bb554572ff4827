import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectAccessible, isDrawn, launch, picture, sideways, sizes, type Visitor, visit } from './support/browser.ts';
import { finalize, type Lab, openLab, openRun, type Readings, sendChunk, sendTo } from './support/lab.ts';

/** Runs and names that nobody expects, and very many of them. */
let lab: Lab;
let browser: Browser;
let visitor: Visitor;
const send = (path: string, body: unknown) => sendTo(lab.server)(path, body);
const start = Date.UTC(2026, 0, 31, 8) / 1_000;

beforeAll(async () => {
  [lab, browser] = await Promise.all([openLab(), launch()]);
  visitor = await visit(browser, lab.address, { key: lab.key });
});
afterAll(async () => {
  expect(visitor?.complaints ?? []).toEqual([]);
  await browser?.close();
  await lab?.close();
});

const readings = (timestamps: (number | null)[], values: (number | null)[], units?: string): Readings => ({
  ...{ timestamps, values },
  ...(units !== undefined && { units }),
});
const drawn = (page: import('playwright-core').Page, place: number) =>
  page.locator('.plot').nth(place).getAttribute('data-points');

describe('names', () => {
  const names = {
    html: '<img src=x onerror="document.title=1"><b>bold</b> & "quotes" \'more\'',
    rightToLeft: 'קצב גידול (ננומטר) معدل النمو',
    emoji: '👩🏽‍🔬🧪 Δ‰ ﷽',
    long: 'å'.repeat(255),
    override: 'abc\u202Egnp.exe',
  };

  test.each(Object.entries(names))('%s: is text everywhere, in the list and in the run', async (kind, name) => {
    const dataId = await openRun(send, {
      name,
      sample: `${name.slice(0, 200)} s`,
      project: `${name.slice(0, 200)} p`,
      tags: [name.slice(0, 200)],
      pointsPerChunk: 3,
    });
    await sendChunk(send, dataId, 0, { [name]: readings([start, start + 1, start + 2], [1, 2, 3], name.slice(0, 60)) });
    const page = await visitor.open(`/?search=${dataId}`);
    await page.locator('.run-table tbody a').waitFor();
    expect(await page.locator('.run-table tbody a').textContent()).toBe(name);
    await expectAccessible(page);
    await page.locator('.run-table tbody a').click();
    await isDrawn(page, 3);
    expect(await page.locator('h1').textContent()).toBe(name);
    expect(await page.locator('.plot-card h2').textContent()).toBe(name);
    expect(await page.title()).toBe(name);
    await expectAccessible(page);
    for (const size of [sizes.desktop, sizes.phone]) {
      await page.setViewportSize(size);
      await expect.poll(() => sideways(page)).toBe(0);
    }
    await picture(page, `name-${kind}`);
    // Hidden in the address, and shown again from it.
    await page.getByRole('checkbox', { name }).uncheck();
    await expect.poll(() => page.locator('.plot-card').count()).toBe(0);
    await page.reload();
    await page.getByRole('checkbox', { name }).check();
    await expect.poll(() => page.locator('.plot-card').count()).toBe(1);
    await page.close();
  });
});

describe('readings', () => {
  test('one point, none that has a value, none that has a time, a constant, beyond every size', async () => {
    const dataId = await openRun(send, { name: 'odd readings', pointsPerChunk: 4 });
    const times = [start, start + 1, start + 2, start + 3];
    await sendChunk(send, dataId, 0, {
      'a one point': readings([start + 1.5], [7]),
      'b all null': readings(times, [null, null, null, null]),
      'c constant': readings(times, [5, 5, 5, 5]),
      'd huge and tiny': readings(times, [1.7e308, -1.7e308, 5e-324, 0]),
      'e alone between nulls': readings(times, [null, 3, null, null]),
      'f no times': readings([null, null], [1, 2]),
    });
    const page = await visitor.open(`/?run=${dataId}`);
    await isDrawn(page, 1);
    await expect.poll(() => page.locator('.plot-card').count()).toBe(6);
    await expect.poll(() => drawn(page, 1)).toBe('0');
    await page.getByText('no readings in this window').first().waitFor();
    await expect.poll(() => drawn(page, 2)).toBe('4');
    await expectAccessible(page);
    await picture(page, 'odd-readings', true);
    await page.close();
  });

  test.each([
    ['milliseconds', 0.000_5, 'ms'],
    ['years', 40 * 86_400, 'years'],
  ])('a run of %s', async (name, step, unit) => {
    const dataId = await openRun(send, { name: `long ${name}`, pointsPerChunk: 50 });
    const times = Array.from({ length: 50 }, (_, i) => start + i * step);
    await sendChunk(send, dataId, 0, {
      a: readings(
        times,
        times.map((_, i) => i),
      ),
    });
    const page = await visitor.open(`/?run=${dataId}`);
    await isDrawn(page, 20);
    expect(await page.locator('.facts').textContent()).toContain(unit);
    for (const times of ['utc', 'since', 'local']) {
      await page.getByRole('combobox', { name: 'Times' }).selectOption(times);
      await page.getByRole('button', { name: 'Zoom in' }).click();
    }
    await picture(page, `long-${name}`);
    await page.close();
  });

  test('absent readings and gaps are not joined: the line between is not drawn', async () => {
    const dataId = await openRun(send, { name: 'holes', pointsPerChunk: 10 });
    for (const index of [0, 2]) {
      const times = Array.from({ length: 10 }, (_, i) => start + index * 10 + i);
      await sendChunk(send, dataId, index, {
        a: readings(
          times,
          times.map((_, i) => (index === 2 && i === 5 ? null : 1)),
        ),
      });
    }
    const page = await visitor.open(`/?run=${dataId}`);
    await isDrawn(page, 19);
    // The line is horizontal: columns of the picture in which it is drawn, as parts of the width.
    const columns = (await page.evaluate(`(() => {
      const canvas = document.querySelector('.plot canvas');
      const line = getComputedStyle(document.documentElement).getPropertyValue('--line-1').trim();
      const [r, g, b] = [1, 3, 5].map((i) => parseInt(line.slice(i, i + 2), 16));
      const { data, width, height } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return Array.from({ length: width }, (_, x) => {
        for (let y = 0; y < height; y++) {
          const at = (y * width + x) * 4;
          if (Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b) < 60) return true;
        }
        return false;
      });
    })()`)) as boolean[];
    const over = (await page.locator('.plot .u-over').boundingBox()) as { x: number; width: number };
    const left = ((await page.locator('.plot').boundingBox()) as { x: number }).x;
    // The window is 29 s and a hundredth on each side.
    const at = (second: number) => columns[Math.round(over.x - left + (over.width * (second + 0.29)) / 29.58)];
    expect([4.5, 22.5, 27.5].map(at)).toEqual([true, true, true]);
    expect([11, 13, 15, 17, 19].map(at)).toEqual([false, false, false, false, false]);
    expect([24.5, 25.5].map(at)).toEqual([false, false]);
    await page.close();
  });

  test('two hundred channels: those on the screen are drawn, the others when one comes to them', async () => {
    const dataId = await openRun(send, { name: 'many channels', pointsPerChunk: 5 });
    const times = Array.from({ length: 5 }, (_, i) => start + i);
    const channels = Object.fromEntries(
      Array.from({ length: 200 }, (_, i) => [
        `channel ${String(i).padStart(3, '0')}`,
        readings(
          times,
          times.map((_, k) => k * i),
        ),
      ]),
    );
    await sendChunk(send, dataId, 0, channels);
    const page = await visitor.open(`/?run=${dataId}`);
    await isDrawn(page, 5);
    expect(await page.locator('.plot-card').count()).toBe(200);
    expect(await page.locator('.plot canvas').count()).toBeLessThan(40);
    // What names all other channels is there for the one that is asked about: 200 × 200 names held the page up for seconds.
    expect(await page.locator('option').count()).toBeLessThan(100);
    await page.getByLabel('What to do with channel 000').click();
    expect(await page.locator('.plot-card option').count()).toBe(200);
    await page.keyboard.press('Escape');
    await expect.poll(() => page.locator('.plot-card option').count()).toBe(0);
    await page.locator('.plot-card').nth(150).scrollIntoViewIfNeeded();
    await expect.poll(() => drawn(page, 150)).toBe('5');
    await page.getByLabel('Channels by name').fill('channel 19');
    await expect.poll(() => page.locator('.channel-list li').count()).toBe(10);
    await page.getByRole('button', { name: 'Hide all' }).click();
    await expect.poll(() => page.locator('.plot-card').count()).toBe(190);
    await page.close();
  });
});

test('ten thousand runs scroll: few rows are in the document, and each comes', async () => {
  await lab.server.owner.pool.query(`
    insert into streams (data_id, organization_id, user_id, stream_name, points_per_chunk, created_at, finalized_at)
    select gen_random_uuid(), s.organization_id, s.user_id, 'bulk run ' || n, 100, timestamptz '2020-01-01' + n * interval '1 minute',
           timestamptz '2020-01-02' + n * interval '1 minute'
    from generate_series(1, 10000) n, (select organization_id, user_id from streams limit 1) s`);
  const page = await visitor.open('/');
  await page.locator('.run-table tbody a').first().waitFor();
  await expect.poll(() => page.locator('.runs-head').textContent()).toMatch(/10\u202f0\d\d runs/);
  await page.evaluate(`(() => {
    globalThis.frames = [];
    let before = performance.now();
    const frame = (now) => { globalThis.frames.push(now - before); before = now; requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
  })()`);
  for (let i = 0; i < 40; i++) {
    await page.mouse.wheel(0, 3_000);
    await page.waitForTimeout(25);
  }
  await expect.poll(() => page.locator('.run-table tbody a').first().textContent()).toMatch(/bulk run/);
  const frames = ((await page.evaluate('globalThis.frames')) as number[]).sort((a, b) => a - b);
  console.log(
    `frames while scrolling: median ${frames[frames.length >> 1]?.toFixed(0)} ms, longest ${frames.at(-1)?.toFixed(0)} ms`,
  );
  expect(frames[frames.length >> 1]).toBeLessThan(200);
  await page.keyboard.press('End');
  // Page after page is read until the last row is there: the oldest run.
  for (let i = 0; i < 60 && !(await page.getByRole('link', { name: 'bulk run 1', exact: true }).isVisible()); i++) {
    await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)');
    await page.waitForTimeout(250);
  }
  expect(await page.getByRole('link', { name: 'bulk run 1', exact: true }).isVisible()).toBe(true);
  expect(await page.locator('.run-table tbody tr').count()).toBeLessThan(80);
  expect(await page.locator('.run-table').getAttribute('aria-rowcount')).toMatch(/^100\d\d$/);
  await page.close();
}, 120_000);

test('the next page that is asked for while the list is read again comes after that', async () => {
  const dataId = await openRun(send, { name: 'about to end' });
  const page = await visitor.open('/');
  await page.getByRole('link', { name: 'about to end' }).waitFor();
  // What is read once more after the connection has begun.
  await sleep(2_000);
  let held = 0;
  await page.route(/limit=100(&|$)/, async (route) => {
    held++;
    await sleep(1_500);
    await route.continue();
  });
  // The list is read again, and is as long as before.
  await finalize(send, dataId);
  await expect.poll(() => held, { timeout: 10_000 }).toBeGreaterThan(0);
  await page.evaluate('scrollTo(0, document.documentElement.scrollHeight / 2)');
  await expect.poll(() => page.locator('.run-table tbody a').first().textContent()).toMatch(/bulk run/);
  await page.close();
}, 120_000);

test('another organization sees of a run what it sees of one that never was', async () => {
  const dataId = await openRun(send, { name: 'secret growth', pointsPerChunk: 3 });
  await sendChunk(send, dataId, 0, { rate: readings([start, start + 1, start + 2], [1, 2, 3]) });
  const rival = await visit(browser, lab.address, { key: lab.server.keys.rival });
  const texts: string[] = [];
  for (const id of [dataId, '00000000-0000-4000-8000-000000000001']) {
    const page = await rival.open(`/?run=${id}`);
    await page.getByRole('heading', { name: 'There is no such run' }).waitFor();
    texts.push((await page.locator('body').textContent()) ?? '');
    const compared = await rival.open(`/?compare=${id}`);
    await compared.getByText('Not found: 1 run of this address').waitFor();
    texts.push((await compared.locator('body').textContent()) ?? '');
  }
  expect(texts.slice(0, 2)).toEqual(texts.slice(2));
  expect(texts.join()).not.toContain('secret');
  await rival.context.close();
});
