import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { chromiumPath } from './chromium.ts';

export const sizes = {
  desktop: { width: 1_280, height: 800 },
  tablet: { width: 820, height: 1_180 },
  phone: { width: 390, height: 844 },
};

export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: chromiumPath,
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  });

export interface Visitor {
  context: BrowserContext;
  /** One more tab of the same browser. */
  open(path?: string): Promise<Page>;
  /** What the pages have said that nobody should have to read: errors, and what the Content-Security-Policy has stopped. */
  complaints: string[];
}

interface VisitorOptions {
  theme?: 'light' | 'dark';
  size?: { width: number; height: number };
  /** Signed in with this key; without one nobody is. */
  key?: string;
  timezone?: string;
  hasTouch?: boolean;
}

/** Somebody with a browser of their own: cookies, storage, shared worker. */
export async function visit(browser: Browser, address: string, options: VisitorOptions = {}): Promise<Visitor> {
  const { theme = 'light', size = sizes.desktop, key, timezone = 'UTC', hasTouch = false } = options;
  const context = await browser.newContext({
    colorScheme: theme,
    viewport: size,
    timezoneId: timezone,
    hasTouch,
    acceptDownloads: true,
  });
  const complaints: string[] = [];
  const visitor: Visitor = {
    context,
    complaints,
    async open(path = '/') {
      const page = await context.newPage();
      page.on('pageerror', (error) => complaints.push(String(error)));
      page.on('console', (message) => {
        // A browser reports each refused request by itself; what a view makes of it is looked at in the view.
        if (message.type() === 'error' && !/Failed to load resource|net::ERR/.test(message.text()))
          complaints.push(message.text());
      });
      await page.goto(new URL(path, address).href);
      return page;
    },
  };
  if (key !== undefined) {
    const page = await visitor.open();
    await page.getByLabel('API key').fill(key);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    await page.close();
  }
  return visitor;
}

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

interface AxeNode {
  html: string;
  failureSummary?: string;
}

/** Finds nothing that axe-core knows to be wrong for somebody with a screen reader or a keyboard. */
export async function expectAccessible(page: Page): Promise<void> {
  // Past the Content-Security-Policy, as an extension of a browser is.
  const client = await page.context().newCDPSession(page);
  const { readFile } = await import('node:fs/promises');
  await client.send('Runtime.evaluate', { expression: await readFile(axePath, 'utf8') });
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: AxeNode[] }[] }> };
    };
    return (await axe.run()).violations.map(({ id, nodes }) => ({
      id,
      nodes: nodes.slice(0, 5).map(({ html, failureSummary }) => ({ html: html.slice(0, 200), failureSummary })),
    }));
  });
  await client.detach();
  expect(found).toEqual([]);
}

const pictures = process.env.PICTURES;

/** Keeps a picture of a view for somebody to look at, where PICTURES names a folder. */
export async function picture(page: Page, name: string, fullPage = false): Promise<void> {
  if (pictures === undefined) return;
  await mkdir(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage });
}

/** Waits until the first plot shows so many points. */
export async function isDrawn(page: Page, countMin = 1): Promise<void> {
  const plot = page.locator('.plot').first();
  const until = Date.now() + 40_000;
  for (;;) {
    const points = Number((await plot.getAttribute('data-points', { timeout: 40_000 })) ?? 0);
    if (points >= countMin) return;
    if (Date.now() > until) throw new Error(`The plot shows ${points} points and not ${countMin}.`);
    await page.waitForTimeout(50);
  }
}

/** Pixels that a page is wider than its screen. */
export const sideways = (page: Page): Promise<number> =>
  page.evaluate('Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)');
