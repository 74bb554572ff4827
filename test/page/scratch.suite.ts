import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, test } from 'vitest';
import { expectAccessible, launch, picture, sizes, visit } from './support/browser.ts';
import { growth, type Lab, openLab, openRun, sendChunk, sendTo } from './support/lab.ts';

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
  for (let i = 0; i < 30; i++)
    if (i !== 10 && i !== 11 && i !== 12) await sendChunk(send, dataId, i, growth(i * 100, 100, start));
  await sendChunk(send, dataId, 20, growth(3000, 100, start + 20 * 10 - 300));
  const visitor = await visit(browser, lab.address, { key: lab.key });
  const out = await visit(browser, lab.address);
  await picture(await out.open(), 'sign-in');
  const page = await visitor.open(`/?run=${dataId}`);
  await page.waitForTimeout(2500);
  await picture(page, 'run', true);
  console.log(visitor.complaints, await page.locator('.said').allTextContents());
  await expectAccessible(page).catch((e) => console.log(e.message));
  await page.setViewportSize(sizes.phone);
  await page.waitForTimeout(800);
  await picture(page, 'run-phone', true);
  const dark = await visit(browser, lab.address, { key: lab.key, theme: 'dark' });
  const darkPage = await dark.open(`/?run=${dataId}`);
  await darkPage.waitForTimeout(2000);
  await picture(darkPage, 'run-dark');
});
