import { describe, expect, test } from 'vitest';
import type { ChannelsEvent, LiveChannel } from '../../src/page/live/protocol.ts';
import type { Board } from '../../src/page/plot/board.ts';
import { createBoardLink } from '../../src/page/plot/board-link.ts';
import type { Range } from '../../src/page/plot/window.ts';
import { type OpenRun, runAfter } from '../../src/page/run/open-run.ts';
import { afterEvent, emptyList } from '../../src/page/runs/run-list.ts';

const channel = (of: Partial<LiveChannel>): LiveChannel => ({
  ...{ channel_name: 'p', units: null, chunk_count: 2, point_count: 20, last_chunk_index: 1 },
  ...{ changed_at: 'now', span: [1_000, 3_000], latest: null },
  ...of,
});
const run = (span: Range | undefined) =>
  ({
    entry: { data_id: 'a' },
    outline: { properties: ['p'], span },
    status: 'live',
    channels: [
      { name: 'p', units: null, latest: { timestamp: 3, value: 1 }, pointCount: 20, chunkCount: 2, changedAt: 'now' },
    ],
  }) as unknown as OpenRun;
const event = (...channels: LiveChannel[]): ChannelsEvent => ({ data_id: 'a', status: 'live', channels });
const known = { fromMs: 1_000, toMs: 3_000 };

describe('a run after an event', () => {
  function grow(before: OpenRun, update: LiveChannel) {
    const changes: [string, Range][] = [];
    const next = runAfter(before, 'channels', event(update), (name, span) => changes.push([name, span]));
    return { span: next.outline.span, names: next.channels.map(({ name }) => name), changes };
  }

  test('that repeats what is known: nothing has changed', () => {
    expect(grow(run(known), channel({ span: [1_000, 3_001] }))).toEqual({ span: known, names: ['p'], changes: [] });
  });

  test('that repeats what is known of a longer run than was put together: the span grows', () => {
    const whole = { fromMs: 0, toMs: 3_000 };
    expect(grow(run(known), channel({ span: [0, 3_000] }))).toMatchObject({ span: whole, changes: [['p', whole]] });
    expect(grow(run(undefined), channel({}))).toMatchObject({ span: known, changes: [['p', known]] });
  });

  test('with more points', () => {
    const added = { fromMs: 3_000, toMs: 4_000 };
    const { span, changes } = grow(run(known), channel({ point_count: 30, span: [3_000, 4_000] }));
    expect([span, changes]).toEqual([{ fromMs: 1_000, toMs: 4_000 }, [['p', added]]]);
  });

  test('with a new channel, and with one that has no time', () => {
    const { names, changes } = grow(run(known), channel({ channel_name: 'q', span: null }));
    expect([names, changes]).toEqual([['p', 'q'], []]);
  });

  test('of its status', () => {
    const status = { data_id: 'a', status: 'finalized' as const };
    expect(runAfter(run(known), 'status', status, () => {}).status).toBe('finalized');
  });
});

test('what changes before there is a board is told to the board when it comes, once', () => {
  const told: unknown[] = [];
  const board = { changed: (trace: object, span: Range) => told.push([trace, span]) } as unknown as Board;
  const link = createBoardLink();
  const trace = { dataId: 'a', channel: 'p' };
  link.changed(trace, { fromMs: 1, toMs: 2 });
  link.changed(trace, { fromMs: 4, toMs: 5 });
  expect(told).toEqual([]);
  link.attach(board);
  expect(told).toEqual([[trace, { fromMs: 1, toMs: 5 }]]);
  link.changed(trace, { fromMs: 6, toMs: 7 });
  link.attach(undefined);
  link.changed(trace, { fromMs: 8, toMs: 9 });
  link.attach(board);
  expect(told.slice(1)).toEqual([
    [trace, { fromMs: 6, toMs: 7 }],
    [trace, { fromMs: 8, toMs: 9 }],
  ]);
});

test('an interrupted run of the list that is finalized says so', () => {
  const others = [
    { data_id: 'a', status: 'interrupted' },
    { data_id: 'b', status: 'finalized' },
  ] as never[];
  const { list, isStale } = afterEvent(
    { ...emptyList, others },
    { data_id: 'a', point_count: 1, last_chunk_at: null, status: 'finalized', missing_chunk_count: 0 },
  );
  expect(isStale).toBe(false);
  expect(list.others.map(({ status }) => status)).toEqual(['finalized', 'finalized']);
});
