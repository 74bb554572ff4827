import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKey } from '../../src/auth/keys.ts';
import { findIdentity } from '../../src/auth/store.ts';
import { expectAccessible, launch, picture, sideways, sizes, visit } from './support/browser.ts';
import { type Lab, openLab } from './support/lab.ts';

let lab: Lab;
let browser: Browser;
beforeAll(async () => {
  [lab, browser] = await Promise.all([openLab(), launch()]);
  // So that the key of ada is the last that may administer keys.
  const { keyId } = (await findIdentity(lab.server.database, lab.server.keys.grace)) as { keyId: number };
  await lab.server.send('DELETE', `/keys/${keyId}`);
  await createKey(lab.server.database, 'lab', 'Grace Hopper', { scopes: ['read'], end: { inSeconds: 864_000 } });
  await createKey(lab.server.database, 'lab', 'Grace Hopper', { scopes: ['read', 'write'] });
});
afterAll(async () => {
  await browser?.close();
  await lab?.close();
});

const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name });
const row = (page: Page, text: string) => page.locator('.key-table tbody tr').filter({ hasText: text });
const opens = async (key: string) => (await findIdentity(lab.server.database, key)) !== undefined;

test('a key is made by the keyboard and shown once, rotated, and revoked after a question', async () => {
  const visitor = await visit(browser, lab.address, { key: lab.key });
  const page = await visitor.open();
  await page.getByRole('link', { name: 'Keys' }).click();
  await row(page, 'Grace Hopper').first().waitFor();
  expect(await page.locator('.key-table tbody tr').count()).toBe(3);
  expect(await row(page, 'yours').count()).toBe(1);
  await button(page, 'New key').focus();
  await page.keyboard.press('Enter');
  await page.getByLabel('User').fill('furnace 3');
  await page.getByRole('checkbox', { name: /^write/ }).press('Space');
  await expectAccessible(page);
  await picture(page, 'keys-new');
  await page.getByLabel('User').press('Enter');
  const secret = (await page.locator('dialog pre').textContent()) as string;
  expect(secret).toMatch(/^msk1_\w{10}_\w{43}_\w{6}$/);
  expect((await findIdentity(lab.server.database, secret))?.scopes).toEqual(['read', 'write']);
  await picture(page, 'keys-made');
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await button(page, 'Copy the key').click();
  await button(page, 'Copied').waitFor();
  expect(await page.evaluate('navigator.clipboard.readText()')).toBe(secret);
  await button(page, 'Done').click();
  await row(page, 'furnace 3').waitFor();
  expect(await page.content()).not.toContain(secret.slice(16, 30));

  await button(page, /^Rotate key \d+ of furnace 3/).click();
  await button(page, 'Make the successor').click();
  const successor = (await page.locator('dialog pre').textContent()) as string;
  await page.keyboard.press('Escape');
  await expect.poll(() => row(page, 'furnace 3').count()).toBe(2);
  expect([await opens(secret), await opens(successor)]).toEqual([true, true]);

  await button(page, /^Revoke key \d+ of furnace 3/)
    .first()
    .click();
  await expectAccessible(page);
  await picture(page, 'keys-revoke');
  await button(page, 'Keep').click();
  expect(await opens(successor)).toBe(true);
  await button(page, /^Revoke key \d+ of furnace 3/)
    .first()
    .click();
  await page.locator('dialog').getByRole('button', { name: 'Revoke' }).click();
  await expect.poll(() => row(page, 'furnace 3').count()).toBe(1);
  expect([await opens(secret), await opens(successor)]).toEqual([true, false]);

  await button(page, 'Revoke all keys of Grace Hopper').first().click();
  await page.locator('dialog').getByRole('button', { name: 'Revoke' }).click();
  await expect.poll(() => row(page, 'Grace Hopper').count()).toBe(0);
  await page.getByLabel('show ended keys too').check();
  await expect.poll(() => row(page, 'revoked 20').count()).toBe(4);
  expect(page.url()).toContain('keys=all');

  // The last that may administer: the server says why not, in the dialog.
  await button(page, /of ada/)
    .last()
    .click();
  await page.getByText('this signs you out').waitFor();
  await page.locator('dialog').getByRole('button', { name: 'Revoke' }).click();
  await page.getByText('could administer keys any more').waitFor();
  expect(visitor.complaints).toEqual([]);
  await visitor.context.close();
});

test.each([
  ['light', 'desktop'],
  ['dark', 'phone'],
] as const)(
  'in the %s theme on a %s it is accessible and fits; without admin there is no link',
  async (theme, device) => {
    const visitor = await visit(browser, lab.address, { theme, size: sizes[device], key: lab.key });
    const page = await visitor.open('/?keys=all');
    await row(page, 'Grace Hopper').first().waitFor();
    await expectAccessible(page);
    expect(await sideways(page)).toBe(0);
    await picture(page, `keys-${theme}-${device}`, true);
    await visitor.context.close();
    if (theme === 'dark') return;
    const reader = await createKey(lab.server.database, 'lab', 'reader', { scopes: ['read'] });
    const other = await visit(browser, lab.address, { key: reader });
    const refused = await other.open('/?keys=');
    await refused.getByText('This API key lacks the scope "admin".').waitFor();
    expect(await refused.getByRole('link', { name: 'Keys' }).count()).toBe(0);
    await other.context.close();
  },
);
