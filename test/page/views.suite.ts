import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKey } from '../../src/auth/keys.ts';
import { expectAccessible, isDrawn, launch, picture, sideways, sizes, type Visitor, visit } from './support/browser.ts';
import { finalize, growth, type Lab, openLab, openRun, sendChunk, sendTo } from './support/lab.ts';

/**
 * Every view in both themes: what it shows, that it can be used without a mouse and without sight, and that nothing in it
 * is refused by the Content-Security-Policy.
 */
let lab: Lab;
let browser: Browser;
let dataId: string;
let otherId: string;
/** A moment that is the same in every picture. */
const start = Date.UTC(2026, 0, 31, 8) / 1_000;

beforeAll(async () => {
  [lab, browser] = await Promise.all([openLab(), launch()]);
  const send = sendTo(lab.server);
  for (let i = 0; i < 12; i++) {
    const id = await openRun(send, {
      name: `MBE run ${400 + i} AlAs`,
      sample: `wafer ${i % 4}`,
      tags: i % 2 ? ['calibration'] : [],
    });
    await sendChunk(send, id, 0, growth(0, 100, start + i * 3_600));
    await finalize(send, id);
  }
  otherId = await openRun(send, { name: 'MBE run 416 GaAs', sample: 'wafer 11', project: 'Quantum wells' });
  for (let i = 0; i < 20; i++) await sendChunk(send, otherId, i, growth(i * 100 + 70, 100, start - 90_000));
  dataId = await openRun(send, {
    name: 'MBE run 417 GaAs',
    sample: 'wafer 12',
    project: 'Quantum wells',
    tags: ['calibration', 'good'],
  });
  for (let i = 0; i < 30; i++)
    if (![10, 11, 12].includes(i)) await sendChunk(send, dataId, i, growth(i * 100, 100, start));
  await sendChunk(send, dataId, 20, growth(2_014, 100, start - 1.4));
  await finalize(send, dataId);
  await sendChunk(send, dataId, 12, growth(1_200, 100, start));
});
afterAll(async () => {
  await browser?.close();
  await lab?.close();
});

describe.each(['light', 'dark'] as const)('in the %s theme', (theme) => {
  let visitor: Visitor;
  beforeAll(async () => {
    visitor = await visit(browser, lab.address, { theme, key: lab.key });
  });
  afterAll(() => visitor?.context.close());

  test('sign-in', async () => {
    const stranger = await visit(browser, lab.address, { theme });
    const page = await stranger.open(`/?run=${dataId}`);
    await page.getByLabel('API key').fill('msk1_wrong');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.locator('#said').textContent()).toBe('This key is not known here.');
    await expectAccessible(page);
    await picture(page, `sign-in-${theme}`);
    await page.getByLabel('API key').fill(lab.key);
    await page.keyboard.press('Enter');
    // Whoever signs in sees what the address says.
    await page.getByRole('heading', { name: 'MBE run 417 GaAs' }).waitFor();
    expect(page.url()).not.toContain(lab.key);
    const stored = await page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])');
    expect(stored).not.toContain('msk1_');
    expect(stored).not.toContain('metrology_session');
    expect(stranger.complaints).toEqual([]);
    await stranger.context.close();
  });

  test('the list of runs', async () => {
    const page = await visitor.open();
    await page.getByRole('link', { name: 'MBE run 417 GaAs' }).waitFor();
    await expectAccessible(page);
    await picture(page, `runs-${theme}`);
    await page.getByLabel('Search runs').fill('quantum GaAs');
    await expect.poll(() => page.locator('.run-table tbody a').count()).toBe(2);
    expect(page.url()).toContain('search=quantum+GaAs');
    await page.reload();
    await expect.poll(() => page.locator('.run-table tbody a').count()).toBe(2);
    await page.setViewportSize(sizes.phone);
    await picture(page, `runs-phone-${theme}`);
    await expectAccessible(page);
    await expect.poll(() => sideways(page)).toBe(0);
    await page.setViewportSize(sizes.tablet);
    await picture(page, `runs-tablet-${theme}`);
    await expectAccessible(page);
    await page.close();
  });

  test('runs that are chosen: tag, delete and restore', async () => {
    const page = await visitor.open('/?search=AlAs');
    await page.getByRole('checkbox', { name: 'Choose MBE run 400 AlAs' }).check();
    await page.getByRole('checkbox', { name: 'Choose MBE run 401 AlAs' }).check();
    await page.getByRole('button', { name: 'Tag', exact: true }).click();
    await expectAccessible(page);
    await page
      .getByRole('textbox', { name: 'Tag' })
      .or(page.getByRole('combobox', { name: 'Tag' }))
      .last()
      .fill(`seen in ${theme}`);
    await page.keyboard.press('Enter');
    await expect.poll(() => page.locator('.run-table .tag', { hasText: `seen in ${theme}` }).count()).toBe(2);
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByText('With 800 points').waitFor();
    await expectAccessible(page);
    await picture(page, `delete-${theme}`);
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await expect.poll(() => page.getByRole('link', { name: 'MBE run 400 AlAs' }).count()).toBe(0);
    await page.getByRole('button', { name: 'Restore' }).click();
    await page.getByRole('link', { name: 'MBE run 400 AlAs' }).waitFor();
    await page.close();
  });

  test('a run', async () => {
    const page = await visitor.open(`/?run=${dataId}`);
    await isDrawn(page);
    await page.locator('.strip').first().waitFor();
    await expect
      .poll(() => page.locator('.said').first().textContent())
      .toMatch(/every (extreme|reading) shown.*▨ 2 missing · ▼ 1 replaced · ▬ 1 late/);
    await expectAccessible(page);
    await picture(page, `run-${theme}`);
    for (const [name, size] of [
      ['phone', sizes.phone],
      ['tablet', sizes.tablet],
    ] as const) {
      await page.setViewportSize(size);
      await isDrawn(page);
      await expect.poll(() => sideways(page)).toBe(0);
      await expectAccessible(page);
      await page.waitForTimeout(300);
      await picture(page, `run-${name}-${theme}`, true);
    }
    await page.close();
  });

  test('the chunks of a channel, a revision before and after, the certificate, the snippets', async () => {
    const page = await visitor.open(`/?run=${dataId}`);
    await page.locator('.strip').first().click();
    await page.getByRole('button', { name: 'chunk 20, revision 1' }).click();
    await page.getByText('before: 100 points').waitFor();
    await expectAccessible(page);
    await picture(page, `ledger-${theme}`);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Certificate' }).click();
    await page.getByText('8 chunks missing.').waitFor();
    const hash = (await lab.server.get(`/metrology/stream/${dataId}/certificate`)).json.root_hash;
    expect(await page.locator('.hash').textContent()).toBe(hash);
    await expectAccessible(page);
    await picture(page, `certificate-${theme}`);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Use in Python' }).click();
    await expectAccessible(page);
    await picture(page, `snippets-${theme}`);
    await page.close();
  });

  test('runs over each other', async () => {
    const page = await visitor.open();
    await page.getByRole('checkbox', { name: 'Choose MBE run 417 GaAs' }).check();
    await page.getByRole('checkbox', { name: 'Choose MBE run 416 GaAs' }).check();
    await page.getByRole('link', { name: 'Lay over each other' }).click();
    await isDrawn(page);
    await page.waitForTimeout(300);
    await expectAccessible(page);
    await picture(page, `compare-${theme}`);
    await page.setViewportSize(sizes.phone);
    await expect.poll(() => sideways(page)).toBe(0);
    await page.close();
  });

  test('no run', async () => {
    const page = await visitor.open('/?run=00000000-0000-4000-8000-000000000000');
    await page.getByRole('heading', { name: 'There is no such run' }).waitFor();
    await expectAccessible(page);
    await page.close();
  });

  test('nothing was complained of', () => {
    expect(visitor.complaints).toEqual([]);
  });
});

describe('a run by hand', () => {
  let page: Page;
  beforeAll(async () => {
    const visitor = await visit(browser, lab.address, { key: lab.key });
    page = await visitor.open(`/?run=${dataId}`);
    await isDrawn(page);
  });

  const windowOf = () => {
    const params = new URL(page.url()).searchParams;
    return { from: Number(params.get('from')), to: Number(params.get('to')) };
  };
  const all = async () => {
    await page.getByRole('button', { name: 'All', exact: true }).click();
    await expect.poll(() => page.url()).not.toContain('from=');
  };

  test('dragging zooms into what was dragged over; the address says so and opens it again', async () => {
    const over = page.locator('.plot .u-over').first();
    await over.scrollIntoViewIfNeeded();
    const box = (await over.boundingBox()) as { x: number; y: number; width: number };
    await page.mouse.move(box.x + box.width / 4, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2, box.y + 60, { steps: 5 });
    await page.mouse.up();
    await expect.poll(() => page.url()).toContain('from=');
    const { from, to } = windowOf();
    const whole = 300_000 * 1.02;
    expect(Math.abs((to - from) / whole - 0.25)).toBeLessThan(0.02);
    expect(Math.abs((from - start * 1_000) / whole - 0.24)).toBeLessThan(0.02);
    await expect.poll(() => page.locator('.said').first().textContent()).toContain('every reading shown');
    const points = await page.locator('.plot').first().getAttribute('data-points');
    await page.reload();
    await expect.poll(() => page.locator('.plot').first().getAttribute('data-points')).toBe(points);
    await all();
  });

  test('the wheel zooms around the pointer, with Shift it moves', async () => {
    const over = page.locator('.plot .u-over').first();
    await over.scrollIntoViewIfNeeded();
    await page.waitForTimeout(500);
    const box = (await over.boundingBox()) as { x: number; y: number; width: number };
    await page.mouse.move(box.x + box.width / 2, box.y + 40);
    await page.mouse.wheel(0, -100);
    await expect.poll(() => page.url()).toContain('from=');
    const zoomed = windowOf();
    expect(zoomed.to - zoomed.from).toBeLessThan(300_000);
    await page.keyboard.down('Shift');
    await page.mouse.wheel(0, 300);
    await page.keyboard.up('Shift');
    await expect.poll(() => windowOf().from).toBeGreaterThan(zoomed.from);
    expect(windowOf().to - windowOf().from).toBeCloseTo(zoomed.to - zoomed.from, 0);
    await all();
  });

  test('keys move, zoom and show all', async () => {
    await page.locator('.plot-keys').focus();
    await page.keyboard.press('+');
    await expect.poll(() => page.url()).toContain('from=');
    const before = windowOf();
    await page.keyboard.press('ArrowRight');
    await expect.poll(() => windowOf().from).toBeGreaterThan(before.from);
    await page.keyboard.press('0');
    await expect.poll(() => page.url()).not.toContain('from=');
  });

  test('a key counts that comes while the page still draws what the address says of the one before', async () => {
    await page.evaluate(`(() => {
      const { replaceState } = history;
      history.replaceState = function (...change) {
        history.replaceState = replaceState;
        globalThis.told = change[2];
        replaceState.apply(history, change);
        const press = new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true });
        document.querySelector('.plot-keys').dispatchEvent(press);
      };
    })()`);
    await page.locator('.plot-keys').focus();
    await page.keyboard.press('+');
    const fromOf = (address: string) => Number(new URL(address, page.url()).searchParams.get('from'));
    await expect.poll(() => page.evaluate('globalThis.told ?? ""')).toContain('from=');
    const before = fromOf((await page.evaluate('globalThis.told')) as string);
    await expect.poll(() => fromOf(page.url())).toBeGreaterThan(before);
    await page.goBack();
    await page.goForward();
    await isDrawn(page);
    expect(fromOf(page.url())).toBeGreaterThan(before);
    await page.locator('.plot-keys').focus();
    await page.keyboard.press('0');
    await expect.poll(() => page.url()).not.toContain('from=');
  });

  test('the cursor is one for all plots, with the reading that is stored there', async () => {
    const over = page.locator('.plot .u-over').first();
    await over.scrollIntoViewIfNeeded();
    const box = (await over.boundingBox()) as { x: number; y: number; width: number };
    await page.mouse.move(box.x + box.width * 0.2, box.y + 40);
    await expect
      .poll(async () => (await page.locator('.at-cursor').allTextContents()).filter((text) => text !== '').length)
      .toBeGreaterThanOrEqual(3);
    await page.mouse.move(5, 5);
    await expect.poll(async () => (await page.locator('.at-cursor').allTextContents()).join('')).toBe('');
  });

  test('a channel goes into the plot of another, onto a logarithmic axis, and out of sight', async () => {
    await page.getByLabel('What to do with growth rate').click();
    await page.getByRole('combobox', { name: 'Into the plot of' }).selectOption('thickness');
    await expect.poll(() => page.locator('.plot-card').count()).toBe(3);
    await page.waitForTimeout(400);
    await picture(page, 'together');
    await page.getByLabel('What to do with chamber pressure').click();
    await page.getByRole('button', { name: 'Logarithmic axis' }).click();
    await page.getByRole('checkbox', { name: 'substrate temperature' }).uncheck();
    await expect.poll(() => page.locator('.plot-card').count()).toBe(2);
    await page.waitForTimeout(400);
    await picture(page, 'logarithmic');
    await page.reload();
    await expect.poll(() => page.locator('.plot-card').count()).toBe(2);
    await page.goto(new URL(`/?run=${dataId}`, lab.address).href);
    await isDrawn(page);
  });

  test('name, sample, project and tags are changed where they stand', async () => {
    await page.getByRole('button', { name: /^Name: / }).click();
    await page
      .getByRole('textbox', { name: 'Name' })
      .or(page.getByRole('combobox', { name: 'Name' }))
      .fill('MBE run 417b');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'MBE run 417b' }).waitFor();
    await page.getByRole('button', { name: /^Sample: / }).click();
    await page.getByRole('combobox', { name: 'Sample' }).fill('wafer 99');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Sample: wafer 99. Change' }).waitFor();
    await page.getByRole('button', { name: 'Add to a project' }).click();
    await page.getByRole('combobox', { name: 'Add to a project' }).fill('Lasers');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.locator('.details').textContent()).toContain('Lasers');
    await page.getByRole('button', { name: 'Add a tag' }).click();
    await page.getByRole('combobox', { name: 'Add a tag' }).fill('<b>bold</b>');
    await page.keyboard.press('Enter');
    const tags = page.locator('.details .tag-name');
    await expect.poll(() => tags.allTextContents()).toContain('<b>bold</b>');
    await page.getByRole('button', { name: 'Remove the tag <b>bold</b>' }).click();
    await expect.poll(() => tags.allTextContents()).not.toContain('<b>bold</b>');
    expect(await tags.count()).toBeGreaterThan(0);
    await page.getByRole('button', { name: 'Write a note' }).click();
    await page.getByRole('textbox', { name: 'Note' }).fill('Shutter stuck at 12:40 <i>\nregrown as 418');
    await page.keyboard.press('Control+Enter');
    const note = page.locator('.details .note');
    await expect.poll(() => note.textContent()).toBe('Shutter stuck at 12:40 <i>\nregrown as 418');
    await expectAccessible(page);
    await picture(page, 'note', true);
    await page.getByRole('button', { name: 'Change the note' }).click();
    await page.getByRole('textbox', { name: 'Note' }).fill('dropped');
    await page.keyboard.press('Escape');
    await expect.poll(() => note.textContent()).toContain('Shutter');
    await page.getByRole('button', { name: 'Change the note' }).click();
    await page.getByRole('textbox', { name: 'Note' }).fill(' ');
    await page.getByRole('button', { name: 'Save' }).click();
    await expect.poll(() => note.count()).toBe(0);
    // What the server refuses is said, and what was written stays.
    await page.getByRole('button', { name: /^Name: / }).click();
    await page
      .getByRole('textbox', { name: 'Name' })
      .or(page.getByRole('combobox', { name: 'Name' }))
      .fill('MBE run 417 GaAs');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'MBE run 417 GaAs' }).waitFor();
  });

  test('files and the picture come down', async () => {
    const download = async (name: string | RegExp) => {
      const [file] = await Promise.all([page.waitForEvent('download'), page.getByText(name).first().click()]);
      return { name: file.suggestedFilename(), size: (await stat(await file.path())).size };
    };
    expect((await download(/^CSV$/)).size).toBeGreaterThan(100_000);
    expect((await download(/^Parquet$/)).size).toBeGreaterThan(10_000);
    const png = await download('PNG of the plots');
    expect(png).toMatchObject({ name: 'MBE run 417 GaAs.png' });
    expect(png.size).toBeGreaterThan(5_000);
  });
});

test('all scripts together are small, and nothing is sent that helps to debug them', async () => {
  const folder = join(import.meta.dirname, '../../dist/page');
  const names = await readdir(folder);
  const sizes = await Promise.all(
    names.filter((name) => name.endsWith('.js.gz')).map((name) => stat(join(folder, name))),
  );
  expect(sizes.length).toBeGreaterThanOrEqual(3);
  expect(sizes.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(120_000);
  expect(names.filter((name) => name.endsWith('.map'))).toEqual([]);
  for (const name of names.filter((one) => /\.(js|css)$/.test(one))) expect(name).toMatch(/-[0-9A-Z]{8}\.(js|css)$/);
});

test('the pictures of the README', async () => {
  for (const [name, theme, path] of [
    ['runs', 'light', '/'],
    ['run', 'dark', `/?run=${dataId}`],
  ] as const) {
    const visitor = await visit(browser, lab.address, { key: lab.key, theme, size: { width: 1_000, height: 640 } });
    const page = await visitor.open(path);
    if (name === 'run') {
      await isDrawn(page);
      await page.locator('.strip').first().waitFor();
    } else await page.getByRole('link', { name: 'MBE run 417 GaAs' }).waitFor();
    await page.waitForTimeout(500);
    const bytes = await page.screenshot({ type: 'jpeg', quality: 60 });
    expect(bytes.length).toBeLessThanOrEqual(80_000);
    expect(bytes.length).toBeGreaterThan(8_000);
    if (process.env.UPDATE_DOCS === '1') {
      const folder = join(import.meta.dirname, '../../docs/images');
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, `${name}.jpg`), bytes);
    }
    await visitor.context.close();
  }
});

test('a key that may only read is offered nothing that changes a run', async () => {
  const reader = await createKey(lab.server.database, 'lab', 'reader', { scopes: ['read'] });
  const visitor = await visit(browser, lab.address, { key: reader });
  const page = await visitor.open('/?search=AlAs');
  await page.getByRole('checkbox', { name: 'Choose MBE run 405 AlAs' }).check();
  await page.getByRole('link', { name: 'CSV' }).waitFor();
  expect(await page.getByRole('button', { name: /^(Tag|Delete)$/ }).count()).toBe(0);
  const changing = page.getByRole('button', { name: /Change|Add a tag|Add to a project|Remove the tag|Write a note/ });
  await page.getByRole('link', { name: 'MBE run 405 AlAs' }).first().click();
  await page.getByRole('heading', { name: 'Details' }).waitFor();
  expect(await page.locator('.details').textContent()).toContain('MBE run 405 AlAs');
  expect(await changing.count()).toBe(0);
  const writer = await visit(browser, lab.address, { key: lab.key });
  const same = await writer.open(new URL(page.url()).search);
  await same.getByRole('button', { name: 'Name: MBE run 405 AlAs. Change' }).waitFor();
  await writer.context.close();
  await visitor.context.close();
});
