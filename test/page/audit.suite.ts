import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKey } from '../../src/auth/keys.ts';
import { expectAccessible, launch, picture, sideways, sizes, visit } from './support/browser.ts';
import { growth, type Lab, openLab, openRun, sendChunk, sendTo } from './support/lab.ts';

/** Who did what, as whoever has a key with the scope admin sees it. */
let lab: Lab;
let browser: Browser;
let dataId: string;

beforeAll(async () => {
  [lab, browser] = await Promise.all([openLab({ audit: { entriesUsual: 5 } }), launch()]);
  const send = sendTo(lab.server);
  dataId = await openRun(send, { name: 'MBE run 417 GaAs' });
  await sendChunk(send, dataId, 0, growth(0, 100, 1_769_846_400));
  await sendChunk(send, dataId, 0, growth(1, 100, 1_769_846_400));
  await lab.server.get(`/exports/${dataId}/`);
  await lab.server.send('DELETE', `/data_entries/?data_ids=${dataId}`);
  await lab.server.post('/data_entries/restore', { data_ids: [dataId] });
  for (let i = 0; i < 6; i++) await createKey(lab.server.database, 'lab', 'ada', { scopes: ['read'] });
});
afterAll(async () => {
  await browser?.close();
  await lab?.close();
});

describe.each(['light', 'dark'] as const)('in the %s theme', (theme) => {
  test.each(['desktop', 'phone'] as const)('the list is read and filtered on a %s', async (device) => {
    const visitor = await visit(browser, lab.address, { theme, size: sizes[device], key: lab.key });
    const page = await visitor.open();
    await page.getByRole('link', { name: 'Audit' }).click();
    const rows = page.locator('.audit-table tbody tr');
    await expect.poll(() => rows.count()).toBe(5);
    await page.getByRole('button', { name: 'Show more' }).click();
    await expect.poll(() => rows.count()).toBe(10);
    await expectAccessible(page);
    expect(await sideways(page)).toBe(0);
    await picture(page, `audit-${theme}-${device}`);
    await page.getByLabel('Action').selectOption('stream.delete');
    await expect.poll(() => rows.count()).toBe(1);
    expect(await rows.first().textContent()).toMatch(/ada key \d+stream\.deleteMBE run 417 GaAs127\.0\.0\.1/);
    await page.goBack();
    await expect.poll(() => rows.count()).toBe(5);
    await page.goForward();
    await expect.poll(() => rows.count()).toBe(1);
    await page.getByRole('link', { name: 'MBE run 417 GaAs' }).click();
    await page.getByRole('heading', { name: 'MBE run 417 GaAs' }).waitFor();
    expect(visitor.complaints).toEqual([]);
    await visitor.context.close();
  });
});

test('is kept as a file, and not shown to who has no key for it', async () => {
  const visitor = await visit(browser, lab.address, { key: lab.key });
  const page = await visitor.open('/?audit=export');
  const coming = page.waitForEvent('download');
  await page.getByRole('link', { name: 'CSV' }).click();
  expect((await coming).suggestedFilename()).toBe('audit.csv');
  await visitor.context.close();

  const key = await createKey(lab.server.database, 'lab', 'ada', { scopes: ['read', 'write', 'delete'] });
  const other = await visit(browser, lab.address, { key });
  const start = await other.open();
  await start.getByRole('button', { name: 'Sign out' }).waitFor();
  expect(await start.getByRole('link', { name: 'Audit' }).count()).toBe(0);
  const forbidden = await other.open('/?audit=');
  await forbidden.getByText('lacks the scope "admin"').waitFor();
  await other.context.close();
});
