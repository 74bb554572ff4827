import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { untilSettled } from '../../bench/overviews/bed.ts';
import { copyChannel } from '../../bench/support/copy-channel.ts';
import { runClosedLoop } from '../../bench/support/node-load.ts';
import { runningEmbeddedPostgres } from '../../src/database/embedded.ts';
import { type Server, serve } from '../support/built-server.ts';
import { launch, picture, type Visitor, visit } from './support/browser.ts';
import { openRun, type Send, sendChunk } from './support/lab.ts';

/**
 * A run of many points, from the server as it is installed, a process of its own. `FULL=1`: a day at 100 Hz, ten million points of
 * each of 20 channels. One of them is sent, and the database copies its rows for the others.
 */
const isFull = process.env.FULL === '1';
const pointsPerChunk = 100;
const [channelCount, chunks] = isFull ? [20, 100_000] : [8, 1_000];
const start = Date.UTC(2026, 0, 31, 8) / 1_000;

/**
 * What is promised of two cores that do nothing else; and what a small form of the run may take on a machine that is busy. The
 * picture of another window is drawn from what is here, and then anew when the points that are read for it have come.
 */
const bounds = isFull
  ? { firstPictureMs: 1_500, pictureMs: 1_500, windowMs: 250, finestMs: 1_000 }
  : { firstPictureMs: 5_000, pictureMs: 5_000, windowMs: 2_500, finestMs: 5_000 };

let folder: string;
let server: Server;
let browser: Browser;
let visitor: Visitor;
let key: string;
let dataId: string;
let smallId: string;

beforeAll(
  async () => {
    folder = await mkdtemp(join(tmpdir(), `metrology-page-${randomUUID().slice(0, 8)}-`));
    const settings = { DATA_DIR: join(folder, 'data') };
    [server, browser] = await Promise.all([
      serve(fileURLToPath(new URL('../..', import.meta.url)), settings),
      launch(),
    ]);
    key = (await readFile(join(settings.DATA_DIR, 'api-key'), 'utf8')).trim();
    const send: Send = async (path, body) => {
      const headers = { 'content-type': 'application/json', 'x-api-key': key };
      const answer = await fetch(server.endpoint + path, { method: 'POST', headers, body: JSON.stringify(body) });
      return { status: answer.status, json: (await answer.json()) as Record<string, string> };
    };
    dataId = isFull ? await fillFully(settings.DATA_DIR, send) : await feed(send);
    smallId = await openRun(send, { name: 'few points', pointsPerChunk: 2 });
    await sendChunk(send, smallId, 0, { channel: { timestamps: [start, start + 1], values: [1, 2] } });
    visitor = await visit(browser, server.endpoint, { key });
  },
  isFull ? 480_000 : 120_000,
);
afterAll(async () => {
  await browser?.close();
  server?.child.kill('SIGTERM');
  await server?.exit();
  await rm(folder, { recursive: true, force: true });
});

/** @param dataDir of the server, whose PostgreSQL is reached beside it */
async function fillFully(dataDir: string, send: Send): Promise<string> {
  const id = await openRun(send, { name: 'many points', pointsPerChunk });
  const headers = { 'content-type': 'application/json', 'x-api-key': key };
  const load = { url: server.endpoint, path: '/metrology/stream/chunk', headers, expectedStatus: 201, connections: 16 };
  const bodyOf = (index: number) => {
    const { timestamps, valuesOf } = readingsOf(index);
    return JSON.stringify({
      data_id: id,
      chunk_index: index,
      channel_name: 'channel 0',
      timestamps,
      values: valuesOf(0),
    });
  };
  const amount = { warmSeconds: 0, seconds: 300, requestsMax: chunks };
  expect((await runClosedLoop({ ...load, body: bodyOf }, amount)).sent).toBe(chunks);
  await untilSettled({ url: server.endpoint, key });
  const client = new pg.Client({ connectionString: await runningEmbeddedPostgres(dataDir) });
  await client.connect();
  const others = Array.from({ length: channelCount - 1 }, (_, k) => `channel ${k + 1}`);
  await copyChannel(client, id, 'channel 0', others).finally(() => client.end());
  return id;
}

function readingsOf(index: number) {
  const timestamps = Array.from({ length: pointsPerChunk }, (_, i) => start + (index * pointsPerChunk + i) * 0.01);
  const rounded = isFull ? (value: number) => Math.round(value * 1_000) / 1_000 : (value: number) => value;
  const valuesOf = (k: number) => timestamps.map((time) => rounded(Math.sin(time / (10 + k)) + Math.random() * 0.1));
  return { timestamps, valuesOf };
}

async function feed(send: Send): Promise<string> {
  const id = await openRun(send, { name: 'many points', pointsPerChunk });
  let next = 0;
  const sendOn = async () => {
    for (let index = next++; index < chunks; index = next++) {
      const { timestamps, valuesOf } = readingsOf(index);
      const names = Array.from({ length: channelCount }, (_, k) => `channel ${k}`);
      const channels = Object.fromEntries(names.map((name, k) => [name, { timestamps, values: valuesOf(k) }]));
      await sendChunk(send, id, index, channels);
    }
  };
  await Promise.all(Array.from({ length: 8 }, sendOn));
  return id;
}

interface Pictures {
  /** Until every plot on the screen is drawn with the new window, from points of all of it. */
  firstMs: number;
  /** Until the points that were read for the window are drawn in every plot. */
  finestMs: number;
}

/**
 * Does something in the page and looks at its plots, frame by frame, until they are as fine as they become.
 * @param act JavaScript
 * @returns by the clock of the page, from before it to the frame after the one that has drawn
 */
async function picturesAfter(page: Page, act: string): Promise<Pictures> {
  return (await page.evaluate(`new Promise((resolve, reject) => {
    const plotsNow = () => [...document.querySelectorAll('.plot canvas')].map((canvas) => canvas.closest('.plot'));
    const windowBefore = plotsNow()[0]?.dataset.window;
    let firstMs;
    const begin = performance.now();
    (() => { ${act} })();
    const look = () => {
      const plots = plotsNow();
      const ms = performance.now() - begin;
      const isNew = ({ dataset }) => dataset.window !== undefined && dataset.window !== windowBefore;
      const holds = (pointsMin) => ({ dataset }) => Number(dataset.points) >= pointsMin;
      const isDrawn = plots.length > 0 && plots.every(isNew);
      if (isDrawn && plots.every(holds(${pointsMin.first}))) firstMs ??= ms;
      if (isDrawn && plots.every(holds(${pointsMin.finest})) && plots.every(({ dataset }) => dataset.fine === 'true')) {
        resolve({ firstMs, finestMs: ms });
      } else if (ms > 30_000) reject(new Error('nothing is drawn within 30 s'));
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  })`)) as Pictures;
}
/** Two points for each pixel of some 900 are shown at the end; of what was here before a zoom half is left. */
const pointsMin = { first: 450, finest: 1_200 };

/** How often each plot that is on the screen has been drawn. */
const drawings = (page: Page) =>
  page.evaluate("[...document.querySelectorAll('.plot canvas')].map((canvas) => canvas.drawings)") as Promise<number[]>;

test('the first picture, zoom and pan; the ledger waits for the picture', async () => {
  await visitor.context.addInitScript(`{
    const { clearRect } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.clearRect = function (...where) {
      this.canvas.drawings = (this.canvas.drawings ?? 0) + 1;
      return clearRect.apply(this, where);
    };
  }`);
  const page = await visitor.open('/');
  const asked: { path: string; query: string }[] = [];
  const answered: string[] = [];
  page.on('requestfinished', (request) => {
    const { pathname, search } = new URL(request.url());
    const { startTime, responseStart, responseEnd } = request.timing();
    const query = new URLSearchParams(search);
    const what = [query.getAll('property_names').length, query.get('max_points')].filter(Boolean).join(' × ');
    if (startTime < 0 || !/timeseries|latest|chunks|data_entries/.test(pathname)) return;
    answered.push(
      `${pathname.split('/').filter(Boolean).at(-1)} ${what} ${Math.round(responseStart)}/${Math.round(responseEnd)}`,
    );
  });
  /** What has been answered since the last look, with the ms to its first and its last byte. */
  const tell = (what: string) => isFull && console.log(`${what}: ${answered.splice(0).join(', ')}`);
  page.on('request', (request) => {
    const { pathname: path, search: query } = new URL(request.url());
    asked.push({ path, query });
  });
  const opened: Pictures[] = [];
  for (let i = 0; i < 3; i++) {
    await page.goto(server.endpoint);
    await page.getByRole('link', { name: 'many points' }).waitFor();
    asked.length = 0;
    opened.push(await picturesAfter(page, `document.querySelector('.run-table tbody a[href*="${dataId}"]').click()`));
    await page.getByText('no chunk missing').waitFor();
    tell(`opened in ${Math.round(opened.at(-1)?.finestMs ?? 0)} ms`);
    const reads = asked.filter(({ query }) => query.includes('max_points'));
    const ledger = asked.findIndex(({ path }) => path.endsWith('/chunks'));
    // Side by side, each channel once, and the ledger after them.
    const names = reads.flatMap(({ query }) => new URLSearchParams(query).getAll('property_names'));
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('channel 0');
    expect(reads.length).toBeGreaterThanOrEqual(2);
    expect(ledger).toBeGreaterThan(asked.indexOf(reads.at(-1) as (typeof asked)[0]));
    // Empty at first, then with its own points; what comes for other channels, and a ledger without marks, draws nothing anew.
    expect(Math.max(...(await drawings(page)))).toBeLessThanOrEqual(4);
  }
  await picture(page, 'many-points');
  const press = (key: string) =>
    `document.querySelector('.plot-keys').dispatchEvent(new KeyboardEvent('keydown', { key: '${key}', bubbles: true }))`;
  const zoomIn = `document.querySelector('[aria-label="Zoom in"]').click()`;
  const zooms: Pictures[] = [];
  for (let i = 0; i < 3; i++) {
    zooms.push(await picturesAfter(page, zoomIn));
    tell(`zoomed in ${Math.round(zooms.at(-1)?.finestMs ?? 0)} ms`);
  }
  // Beyond the margin that was read with the window.
  const pans: Pictures[] = [];
  for (let i = 0; i < 3; i++) {
    pans.push(await picturesAfter(page, Array(4).fill(press('ArrowLeft')).join(';')));
    tell(`panned in ${Math.round(pans.at(-1)?.finestMs ?? 0)} ms`);
  }
  const told = (list: readonly Pictures[]) =>
    list.map(({ firstMs, finestMs }) => `${Math.round(firstMs)}/${Math.round(finestMs)}`).join(' ');
  console.log(
    `${chunks * pointsPerChunk} points of ${channelCount} channels, first/finest picture in ms: opened ${told(opened)}, zoom ${told(zooms)}, pan ${told(pans)}`,
  );
  // The very first is that of a server that has read nothing since its start.
  const [first, ...others] = opened as [Pictures, ...Pictures[]];
  expect(first.finestMs).toBeLessThan(bounds.firstPictureMs);
  for (const { finestMs } of others) expect(finestMs).toBeLessThan(bounds.pictureMs);
  for (const { firstMs, finestMs } of [...zooms, ...pans]) {
    expect(firstMs).toBeLessThan(bounds.windowMs);
    expect(finestMs).toBeLessThan(bounds.finestMs);
  }
  await page.close();
}, 180_000);

test('points that are here before the first plot: the ledger is read after the picture all the same', async () => {
  const own = await visit(browser, server.endpoint, { key });
  await own.context.addInitScript(`{
    // Plots come late; and the ledger has nothing to wait for but the picture.
    const { IntersectionObserver: Observer, setTimeout: later } = globalThis;
    globalThis.IntersectionObserver = class extends Observer {
      constructor(tell, options) {
        super((entries, self) => later(() => tell(entries, self), 1_500), options);
      }
    };
    globalThis.setTimeout = (act, ms, ...rest) => (ms === 5_000 ? 0 : later(act, ms, ...rest));
  }`);
  const page = await own.open(`/?run=${smallId}`);
  await page.getByText('no chunk missing').waitFor({ timeout: 60_000 });
  await own.context.close();
});
