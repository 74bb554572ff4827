import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { ApiFailure } from '../../src/page/api/failure.ts';
import { Reader } from '../../src/page/plot/reader.ts';
import type { Series } from '../../src/page/plot/series.ts';

interface Asked {
  channels: string[];
  range: { fromMs: number; toMs: number };
  points: number;
}

/** A server that has a point at every whole ms of a span, and more when `toMs` grows. */
function fakeRun(limits: object = {}) {
  const asked: Asked[] = [];
  const state = {
    fromMs: 0,
    toMs: 100,
    downSampled: false,
    stepMs: 1,
    fails: 0,
    slowMs: 0,
    aborted: 0,
    until: Promise.resolve() as Promise<void>,
  };
  const failures: unknown[] = [];
  const reader = new Reader({
    onRead: () => {},
    onFailure: (failure) => failures.push(failure?.message),
    limits: { liveMsMin: 20, retryMsMin: 5, retryMsMax: 10, requestsAtOnce: 1, ...limits },
    async read(channels, range, points, signal) {
      asked.push({ channels: [...channels], range, points });
      if (state.slowMs > 0) await sleep(state.slowMs);
      await state.until;
      if (signal.aborted) {
        state.aborted++;
        throw signal.reason;
      }
      if (state.fails-- > 0) throw new ApiFailure(503, 'PostgreSQL is away.');
      const [from, to] = [Math.max(range.fromMs, state.fromMs), Math.min(range.toMs, state.toMs)];
      const length = Math.max(0, Math.floor((to - from) / state.stepMs) + 1);
      const times = Array.from({ length }, (_, i) => Math.ceil(from) + i * state.stepMs);
      const series: Series = { times, values: [...times], gaps: [], downSampled: state.downSampled };
      return new Map(channels.map((channel) => [channel, series]));
    },
  });
  return { reader, asked, state, failures };
}
const window = (fromMs: number, toMs: number, isFollowing = false) => ({
  range: { fromMs, toMs },
  isFollowing,
  pointsMax: 1_000,
  channels: ['a', 'b'],
});

describe('what is read', () => {
  test('several channels by one request, with a margin on both sides', async () => {
    const { reader, asked } = fakeRun();
    reader.want(window(0, 100));
    await vi.waitFor(() => expect(reader.isRead('b')).toBe(true));
    expect(asked).toEqual([{ channels: ['a', 'b'], range: { fromMs: -25, toMs: 125 }, points: 1_500 }]);
    reader.want(window(10, 90));
    await sleep(20);
    expect(asked).toHaveLength(1);
    reader.close();
  });

  test('a narrower window of what was down-sampled is read again, of what is all there not', async () => {
    const { reader, asked, state } = fakeRun();
    state.downSampled = true;
    reader.want(window(0, 100));
    await vi.waitFor(() => expect(reader.isRead('a')).toBe(true));
    state.downSampled = false;
    reader.want(window(40, 60));
    await vi.waitFor(() => expect(asked).toHaveLength(2));
    await vi.waitFor(() => expect(reader.series('a').downSampled).toBe(false));
    reader.want(window(45, 55));
    await sleep(20);
    expect(asked).toHaveLength(2);
    reader.close();
  });

  test('only the stretch that has changed', async () => {
    const { reader, asked, state } = fakeRun();
    reader.want(window(0, 1_000, true));
    await vi.waitFor(() => expect(reader.isRead('a')).toBe(true));
    state.toMs = 110;
    reader.changed('a', { fromMs: 101, toMs: 110 });
    reader.changed('b', { fromMs: 101, toMs: 110 });
    await vi.waitFor(() => expect(asked).toHaveLength(2));
    expect(asked[1]?.range.fromMs).toBe(100);
    expect(asked[1]?.channels).toEqual(['a', 'b']);
    await vi.waitFor(() => expect(reader.series('a').times.at(-1)).toBe(110));
    expect(reader.series('a').times).toHaveLength(111);
    reader.close();
  });

  test('what has arrived beyond the window is read as finely as the window', async () => {
    const { reader, asked, state } = fakeRun();
    reader.want(window(0, 100, true));
    await vi.waitFor(() => expect(reader.isRead('a')).toBe(true));
    state.toMs = 200;
    // Before the window has followed.
    reader.changed('a', { fromMs: 101, toMs: 200 });
    await vi.waitFor(() => expect(asked).toHaveLength(2));
    expect(asked[1]?.points).toBeGreaterThanOrEqual(1_000);
    reader.close();
  });

  test('a hundred events are a few reads, the last one after the last event', async () => {
    const { reader, asked, state } = fakeRun({ liveMsMin: 50 });
    reader.want(window(0, 1_000, true));
    await vi.waitFor(() => expect(reader.isRead('a')).toBe(true));
    for (let i = 0; i < 100; i++) {
      state.toMs++;
      reader.changed('a', { fromMs: state.toMs, toMs: state.toMs });
    }
    await vi.waitFor(() => expect(reader.series('a').times.at(-1)).toBe(200));
    expect(asked.length).toBeLessThanOrEqual(4);
    reader.close();
  });

  test('by a few requests side by side, neighbours together', async () => {
    const { reader, asked, state } = fakeRun({ requestsAtOnce: 3 });
    let release = () => {};
    const hold = () => {
      state.until = new Promise((resolve) => {
        release = resolve;
      });
    };
    hold();
    reader.want({ ...window(0, 100), channels: ['a', 'b', 'c', 'd', 'e'] });
    await vi.waitFor(() => expect(asked).toHaveLength(3));
    expect(asked.map(({ channels }) => channels)).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
    release();
    await vi.waitFor(() => expect(['a', 'b', 'c', 'd', 'e'].every((name) => reader.isRead(name))).toBe(true));
    // All of them are given up together.
    hold();
    reader.want({ ...window(5_000, 6_000), channels: ['a', 'b', 'c', 'd', 'e'] });
    await vi.waitFor(() => expect(asked).toHaveLength(6));
    reader.want({ ...window(9_000, 9_100), channels: ['a', 'b', 'c', 'd', 'e'] });
    release();
    await vi.waitFor(() => expect(state.aborted).toBe(3));
    await vi.waitFor(() => expect(asked).toHaveLength(9));
    reader.close();
  });

  test('no more points at once than the bound, one part after the other', async () => {
    const { reader, asked, state } = fakeRun({ pointsAtOnce: 1_000 });
    state.slowMs = 20;
    reader.want(window(0, 100));
    await sleep(10);
    reader.changed('a', { fromMs: 1, toMs: 2 });
    expect(asked).toHaveLength(1);
    await vi.waitFor(() => expect(reader.isRead('b')).toBe(true));
    expect(asked.slice(0, 2).map(({ channels }) => channels)).toEqual([['a'], ['b']]);
    reader.close();
  });

  test('what is under way for a window that nobody looks at any more is given up', async () => {
    const { reader, asked, state } = fakeRun();
    state.slowMs = 20;
    reader.want(window(0, 100));
    await sleep(10);
    reader.want(window(5_000, 6_000));
    await vi.waitFor(() => expect(asked.at(-1)?.range.fromMs).toBe(4_750));
    await vi.waitFor(() => expect(reader.isRead('a')).toBe(true));
    expect(state.aborted).toBe(1);
    reader.close();
  });

  test('what has changed is read, although the read of another window that was to bring it was given up', async () => {
    const { reader, state } = fakeRun();
    reader.want(window(0, 100));
    await vi.waitFor(() => expect(reader.isRead('a')).toBe(true));
    state.slowMs = 30;
    reader.want(window(1_000, 1_100));
    await sleep(5);
    reader.want(window(2_000, 2_100));
    state.toMs = 110;
    reader.changed('a', { fromMs: 101, toMs: 110 });
    // The read of the third window has begun: it takes all changes with it.
    await sleep(40);
    reader.want(window(0, 110));
    await vi.waitFor(() => expect(reader.series('a').times.at(-1)).toBe(110));
    reader.close();
  });

  test('a channel that left the screen is read whole when it comes back', async () => {
    const { reader, asked, state } = fakeRun();
    reader.want(window(0, 1_000, true));
    await vi.waitFor(() => expect(reader.isRead('b')).toBe(true));
    reader.want({ ...window(0, 1_000, true), channels: ['a'] });
    state.toMs = 120;
    reader.changed('b', { fromMs: 101, toMs: 120 });
    await sleep(60);
    expect(asked).toHaveLength(1);
    reader.want(window(0, 1_000, true));
    await vi.waitFor(() => expect(reader.series('b').times.at(-1)).toBe(120));
    reader.close();
  });

  test('who looks back after following sees what has left the picture', async () => {
    const { reader, state } = fakeRun();
    state.toMs = 100;
    reader.want(window(0, 100, true));
    await vi.waitFor(() => expect(reader.isRead('a')).toBe(true));
    state.toMs = 150;
    reader.want(window(50, 150, true));
    reader.changed('a', { fromMs: 101, toMs: 150 });
    await vi.waitFor(() => expect(reader.series('a').times.at(-1)).toBe(150));
    expect(reader.series('a').times[0]).toBe(49);
    reader.want(window(0, 100));
    await vi.waitFor(() => expect(reader.series('a').times[0]).toBe(0));
    reader.close();
  });
});

describe('what is drawn before the answer is here', () => {
  /** Of a down-sampled run: a point for each 10 ms of the wide window, one for each ms of a narrower one. */
  async function zoomedRun() {
    const run = fakeRun();
    run.state.toMs = 2_000;
    run.state.downSampled = true;
    run.state.stepMs = 10;
    run.reader.want(window(0, 2_000));
    await vi.waitFor(() => expect(run.reader.isFine('b')).toBe(true));
    run.state.stepMs = 1;
    run.reader.want(window(1_000, 1_200));
    expect(run.reader.isFine('a')).toBe(false);
    await vi.waitFor(() => expect(run.reader.isFine('b')).toBe(true));
    return run;
  }
  const within = ({ times }: Series, fromMs: number, toMs: number) =>
    times.filter((ms) => ms >= fromMs && ms < toMs).length;

  test('a narrower window: what is here of it', async () => {
    const { reader, state } = await zoomedRun();
    state.slowMs = 50;
    reader.want(window(1_050, 1_100));
    expect(reader.isFine('a')).toBe(false);
    expect(within(reader.series('a'), 1_050, 1_100)).toBe(50);
    reader.close();
  });

  test('a window beyond what is here: the wide picture around it, until finer points come', async () => {
    const { reader, state } = await zoomedRun();
    state.slowMs = 50;
    reader.want(window(900, 1_100));
    const drawn = reader.series('a');
    // From 950 on, which was read as the margin of the window before.
    expect(within(drawn, 900, 950)).toBe(5);
    expect(within(drawn, 950, 1_100)).toBe(150);
    expect(drawn.times).toEqual([...drawn.times].sort((a, b) => a - b));
    expect(drawn.downSampled).toBe(true);
    // A plot sees by the object that nothing has changed.
    expect(reader.series('a')).toBe(drawn);
    await vi.waitFor(() => expect(reader.isFine('a')).toBe(true));
    expect(within(reader.series('a'), 900, 1_100)).toBe(200);
    // All of it again.
    reader.want(window(0, 2_000));
    expect(within(reader.series('a'), 0, 850)).toBe(85);
    reader.close();
  });

  test('nothing of a picture that is old: a chunk was replaced meanwhile', async () => {
    const { reader, state } = await zoomedRun();
    state.slowMs = 50;
    reader.changed('a', { fromMs: 300, toMs: 320 });
    reader.want(window(0, 2_000));
    expect(within(reader.series('a'), 0, 900)).toBe(0);
    expect(within(reader.series('b'), 0, 900)).toBe(90);
    reader.close();
  });

  test('nor one that was old when it left', async () => {
    const { reader, state } = fakeRun();
    state.toMs = 2_000;
    state.downSampled = true;
    reader.want(window(0, 2_000));
    await vi.waitFor(() => expect(reader.isFine('b')).toBe(true));
    reader.changed('a', { fromMs: 300, toMs: 320 });
    reader.want(window(1_000, 1_200));
    await vi.waitFor(() => expect(reader.isFine('a') && reader.isFine('b')).toBe(true));
    state.slowMs = 50;
    reader.want(window(0, 2_000));
    expect(within(reader.series('a'), 0, 900)).toBe(0);
    expect(within(reader.series('b'), 0, 900)).toBe(900);
    reader.close();
  });
});

describe('when reads fail', () => {
  test('a server that is away is asked again, and what has changed meanwhile is read', async () => {
    const { reader, state, failures } = fakeRun();
    reader.want(window(0, 1_000, true));
    await vi.waitFor(() => expect(reader.isRead('a')).toBe(true));
    state.fails = 3;
    state.toMs = 130;
    reader.changed('a', { fromMs: 101, toMs: 130 });
    await vi.waitFor(() => expect(reader.series('a').times.at(-1)).toBe(130));
    expect(failures).toContain('PostgreSQL is away.');
    expect(failures.at(-1)).toBeUndefined();
    reader.close();
  });

  test('of requests side by side one that fails is asked again, and what the others brought stays', async () => {
    const { reader, asked, state, failures } = fakeRun({ requestsAtOnce: 2 });
    state.fails = 1;
    reader.want(window(0, 100));
    await vi.waitFor(() => expect(reader.isRead('a') && reader.isRead('b')).toBe(true));
    expect(asked.map(({ channels }) => channels)).toEqual([['a'], ['b'], ['a']]);
    expect(failures).toEqual(['PostgreSQL is away.', undefined]);
    reader.close();
  });
});
