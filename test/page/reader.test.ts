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
  const state = { fromMs: 0, toMs: 100, downSampled: false, fails: 0, slowMs: 0, aborted: 0 };
  const failures: unknown[] = [];
  const reader = new Reader({
    onRead: () => {},
    onFailure: (failure) => failures.push(failure?.message),
    limits: { liveMsMin: 20, retryMsMin: 5, retryMsMax: 10, ...limits },
    async read(channels, range, points, signal) {
      asked.push({ channels: [...channels], range, points });
      if (state.slowMs > 0) await sleep(state.slowMs);
      if (signal.aborted) {
        state.aborted++;
        throw signal.reason;
      }
      if (state.fails-- > 0) throw new ApiFailure(503, 'PostgreSQL is away.');
      const [from, to] = [Math.max(range.fromMs, state.fromMs), Math.min(range.toMs, state.toMs)];
      const times = Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => Math.ceil(from) + i);
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

  test('one request at a time', async () => {
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
});
