import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { randomFrom } from '../overviews/support/racing.ts';
import { launch, type Visitor, visit } from './support/browser.ts';
import { type Cable, openCable } from './support/cable.ts';
import { finalize, type Lab, openLab, openRun, type Readings, sendChunk, sendTo } from './support/lab.ts';

/**
 * Whatever happens, and in whatever moment: when nothing more happens, the page soon shows what a page shows that is opened
 * only then. SEED and ROUNDS repeat a round that has failed; FULL=1 takes many rounds of other seeds each time.
 */
const isFull = process.env.FULL === '1';
const rounds = Number(process.env.ROUNDS ?? (isFull ? 40 : 2));
const firstSeed = Number(process.env.SEED ?? (isFull ? Date.now() % 1_000_000 : 1));
/** A connection that was lost is made again after at most 10 s. */
const soonMs = 20_000;

let lab: Lab;
let cable: Cable;
let browser: Browser;
/** Reads what is stored, with connections of its own. */
let judge: Visitor;

beforeAll(async () => {
  [lab, browser] = await Promise.all([openLab(), launch()]);
  cable = await openCable(lab.address);
  judge = await visit(browser, lab.address, { key: lab.key });
});
afterAll(async () => {
  await browser?.close();
  await cable?.close();
  await lab?.close();
});

const send = (path: string, body: unknown) => sendTo(lab.server)(path, body);
const start = Date.UTC(2026, 0, 31, 8) / 1_000;

interface Run {
  dataId: string;
  channels: string[];
  /** The next index that no chunk has had yet. */
  next: number;
  isDeleted: boolean;
}

class World {
  readonly runs: Run[] = [];
  readonly tabs: Page[] = [];
  readonly visitor: Visitor;
  readonly below: (below: number) => number;
  #mended = Promise.resolve();

  constructor(seed: number, visitor: Visitor) {
    this.below = randomFrom(seed);
    this.visitor = visitor;
  }

  one<Item>(of: readonly Item[]): Item {
    return of[this.below(of.length)] as Item;
  }

  readings(index: number): Readings {
    const timestamps = Array.from({ length: 10 }, (_, i): number | null => start + (index * 10 + i) * 0.1);
    const values = timestamps.map((): number | null => this.below(1_000));
    const kind = this.below(8);
    if (kind === 0) timestamps.fill(timestamps[0] as number, 0, 4);
    if (kind === 1) timestamps.fill(null, 2, 5);
    if (kind === 2) timestamps.fill(null);
    if (kind === 3) values.fill(null, this.below(10));
    return { timestamps, values };
  }

  async chunk(run: Run, index: number): Promise<void> {
    const channels = run.channels.filter((_, i) => i === 0 || this.below(3) > 0);
    const chunk = Object.fromEntries(channels.map((name) => [name, this.readings(index)]));
    run.next = Math.max(run.next, index + 1);
    await sendChunk(send, run.dataId, index, chunk).catch((error) => {
      if (!run.isDeleted) throw error;
    });
  }

  async newRun(): Promise<void> {
    const dataId = await openRun(send, { name: `run ${this.runs.length}`, pointsPerChunk: 10 });
    this.runs.push({ dataId, channels: ['p'], next: 0, isDeleted: false });
  }

  async newTab(path: string): Promise<void> {
    if (this.tabs.length === 3) await this.tabs.shift()?.close();
    // While the connection is cut, a page cannot be loaded.
    await this.#mended;
    this.tabs.push(await this.visitor.open(path));
  }

  /** Clicks as soon as there is something to click, without waiting for it. */
  click(tab: Page, selector: string): Promise<unknown> {
    return tab.evaluate(`(() => {
      const all = document.querySelectorAll(${JSON.stringify(selector)});
      all[${this.below(1_000)} % all.length]?.click();
    })()`);
  }

  cut(ms: number): void {
    cable.pull();
    this.#mended = sleep(ms).then(() => cable.plug());
  }

  mended = () => this.#mended;

  /** What may happen. An action that is named more than once happens more often. */
  readonly actions: Record<string, () => unknown> = {
    newRun: () => this.newRun(),
    chunk: () => this.act((run) => this.chunk(run, run.next)),
    chunks: () => this.act((run) => Promise.all([this.chunk(run, run.next), this.chunk(run, run.next)])),
    skipped: () => this.act((run) => this.chunk(run, run.next + 1 + this.below(3))),
    earlier: () => this.act((run) => this.chunk(run, this.below(run.next + 1))),
    earlierAndNext: () =>
      this.act((run) => Promise.all([this.chunk(run, this.below(run.next + 1)), this.chunk(run, run.next)])),
    newChannel: () => this.act((run) => run.channels.length < 3 && run.channels.push(`p${run.channels.length}`)),
    finalize: () => this.act((run) => finalize(send, run.dataId)),
    delete: () =>
      this.act(async (run) => {
        if (this.below(3) > 0) return;
        run.isDeleted = true;
        await lab.server.send('DELETE', `/data_entries/?data_ids=${run.dataId}`);
      }),
    openRun: () => this.act((run) => this.newTab(`/?run=${run.dataId}`)),
    openList: () => this.newTab('/'),
    compare: () =>
      this.newTab(
        `/?${this.runs
          .slice(-2)
          .map(({ dataId }) => `compare=${dataId}`)
          .join('&')}`,
      ),
    toList: () => this.look('.home'),
    toRun: () => this.look('.cell-name a'),
    zoom: () => this.look('[aria-label^="Zoom"]'),
    follow: () => this.look('[aria-label="Last 1 min"], .toolbar .primary'),
    all: () => this.look('.toolbar button'),
    slow: async () => {
      if (this.tabs.length === 0) return;
      const tab = this.one(this.tabs);
      await throttle(tab, 1 + this.below(20));
    },
    cut: () => this.cut(300 + this.below(3_000)),
    wait: () => sleep(this.below(1_500)),
  };

  act(what: (run: Run) => unknown): unknown {
    const present = this.runs.filter(({ isDeleted }) => !isDeleted);
    return present.length === 0 ? this.newRun() : what(this.one(present));
  }

  look(selector: string): unknown {
    return this.tabs.length === 0 ? this.newTab('/') : this.click(this.one(this.tabs), selector);
  }
}

const throttle = async (tab: Page, rate: number) => {
  const client = await tab.context().newCDPSession(tab);
  await client.send('Emulation.setCPUThrottlingRate', { rate });
};

/** All that a view says and draws, a line for each thing, but for what only the time of its opening decides. */
const shownBy = (page: Page): Promise<string[]> => page.evaluate(readAllThatIsShown);
const readAllThatIsShown = `(() => {
  for (const button of document.querySelectorAll('.toolbar button[aria-pressed=false]'))
    if (button.textContent === 'All') button.click();
  const places = new Map();
  const all = document.querySelectorAll(
    'main.narrow h1, .wait, .banner, .run-head h1, .run-head .status, .facts, .empty, .legend li, .runs-head, .plot, ' +
    '.latest, .said, .channel-name, .strip .unseen, .channel-list li, .run-table tbody tr',
  );
  return [...all].map((element) => {
    const kind = element.className || element.tagName;
    places.set(kind, (places.get(kind) ?? 0) + 1);
    if (kind === 'banner' || kind === 'H1') return element.textContent;
    const text = kind === 'plot' ? element.ariaLabel + JSON.stringify(element.dataset) : element.textContent;
    return kind + ' ' + places.get(kind) + ': ' + text.replace(/[0-9.]+ (s|min) ago/, '');
  });
})()`;

/** What a tab shows in the end and a page that is opened now does not, or the other way round. */
async function differences(tab: Page): Promise<string[]> {
  const fresh = await judge.open(new URL(tab.url()).search || '/');
  const until = Date.now() + soonMs;
  try {
    for (;;) {
      await fresh.bringToFront();
      const stored = await shownBy(fresh);
      await tab.bringToFront();
      const shown = await shownBy(tab);
      // A tab that shows a run while it is deleted goes on showing it, and says so.
      const isGone =
        stored.some((line) => line === 'There is no such run' || line.startsWith('Not found: ')) &&
        shown.some((line) => line === 'This run has been deleted.' || /^LI .* deleted$/.test(line));
      const lines = isGone
        ? []
        : [...without(shown, stored).map((it) => `shown ${it}`), ...without(stored, shown).map((it) => `stored ${it}`)];
      if (lines.length === 0 || Date.now() > until) return lines;
      await sleep(300);
    }
  } finally {
    await fresh.close();
  }
}

const without = (these: string[], those: string[]) => these.filter((one) => !those.includes(one));

test.each(Array.from({ length: rounds }, (_, i) => firstSeed + i))(
  'after all that happens by seed %i, every tab shows what is stored',
  async (seed) => {
    const visitor = await visit(browser, cable.address, { key: lab.key });
    const world = new World(seed, visitor);
    await world.newRun();
    await world.act((run) => world.newTab(world.below(2) === 0 ? '/' : `/?run=${run.dataId}`));
    const done: string[] = [];
    try {
      for (let i = 0; i < 30; i++) {
        const name = world.one(Object.keys(world.actions));
        done.push(name);
        await world.actions[name]?.();
        await sleep(world.below(3) === 0 ? world.below(400) : 0);
      }
      await world.mended();
      for (const tab of world.tabs) await throttle(tab, 1);
      for (const tab of world.tabs) expect((await differences(tab)).join('\n'), tab.url()).toBe('');
      expect(visitor.complaints).toEqual([]);
    } catch (error) {
      console.log(`SEED=${seed} ROUNDS=1: ${done.join(' ')}\n${error}`);
      throw error;
    } finally {
      await visitor.context.close();
    }
  },
);
