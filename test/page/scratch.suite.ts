import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, test } from 'vitest';
import { expectAccessible, launch, picture, sizes, visit } from './support/browser.ts';
import { finalize, growth, type Lab, openLab, openRun, sendChunk, sendTo } from './support/lab.ts';

let lab: Lab;
let browser: Browser;
beforeAll(async () => {
  [lab, browser] = await Promise.all([openLab(), launch()]);
});
afterAll(async () => {
  await browser?.close();
  await lab?.close();
});

test('look', async () => {
  const send = sendTo(lab.server);
  const dataId = await openRun(send, {
    name: 'MBE run 417 GaAs',
    sample: 'wafer 12',
    project: 'Quantum wells',
    tags: ['calibration', 'good'],
  });
  const start = Date.now() / 1000 - 300;
  const other = await openRun(send, { name: 'MBE run 418 GaAs' });
  for (let i = 0; i < 30; i++)
    if (i !== 10 && i !== 11 && i !== 12) await sendChunk(send, dataId, i, growth(i * 100, 100, start));
  for (let i = 0; i < 20; i++) await sendChunk(send, other, i, growth(i * 100 + 70, 100, start + 9000));
  await sendChunk(send, dataId, 20, growth(3000, 100, start + 20 * 10 - 300));
  await finalize(send, dataId);
  await sendChunk(send, dataId, 12, growth(1200, 100, start));
  const visitor = await visit(browser, lab.address, { key: lab.key });
  const page = await visitor.open(`/?run=${dataId}`);
  await page.locator('.strip').first().waitFor();
  await page.waitForTimeout(700);
  await picture(page, 'run', true);
  console.log(visitor.complaints, await page.locator('.said').allTextContents());
  await expectAccessible(page).catch((e) => console.log(e.message));
  await page.getByRole('button', { name: 'Certificate' }).click();
  await page.getByText('Root hash', { exact: true }).waitFor();
  await picture(page, 'certificate');
  await expectAccessible(page).catch((e) => console.log(e.message));
  await page.keyboard.press('Escape');
  await page.locator('.strip').first().click();
  await page.getByRole('button', { name: /revision 1/ }).click();
  await page.waitForTimeout(700);
  await picture(page, 'ledger');
  await expectAccessible(page).catch((e) => console.log(e.message));
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: /Python/ }).click();
  await picture(page, 'snippets');
  await page.keyboard.press('Escape');
  const box = (await page.locator('.plot .u-over').first().boundingBox())!;
  await page.mouse.move(box.x + 200, box.y + 50);
  await page.mouse.down();
  await page.mouse.move(box.x + 400, box.y + 60, { steps: 5 });
  await page.mouse.up();
  await page.mouse.move(box.x + 300, box.y + 60);
  await page.waitForTimeout(900);
  console.log(page.url(), await page.locator('.said').allTextContents());
  await picture(page, 'zoomed');
  await page.locator('.menu summary').nth(1).click();
  await picture(page, 'menu');
  await page.getByRole('combobox', { name: 'Into the plot of' }).selectOption('thickness');
  await page.getByRole('button', { name: 'All', exact: true }).click();
  await page.waitForTimeout(900);
  await picture(page, 'together');
  await page.setViewportSize(sizes.phone);
  await page.waitForTimeout(800);
  await picture(page, 'run-phone', true);
  const page2 = await visitor.open(`/?compare=${dataId}&compare=${other}`);
  await page2.waitForTimeout(2500);
  await picture(page2, 'compare', true);
  await expectAccessible(page2).catch((e) => console.log(e.message));
  console.log(visitor.complaints);
  await page2.emulateMedia({ colorScheme: 'dark' });
  await page2.waitForTimeout(500);
  await picture(page2, 'compare-dark');
});
