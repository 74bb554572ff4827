import { describe, expect, test } from 'vitest';
import type { Run } from '../../src/page/api/runs.ts';
import type { ChannelsEvent, LiveChannel, RunEvent, RunStatus } from '../../src/page/live/protocol.ts';
import type { Board } from '../../src/page/plot/board.ts';
import { createBoardLink } from '../../src/page/plot/board-link.ts';
import type { Range } from '../../src/page/plot/window.ts';
import { type OpenRun, runAfter } from '../../src/page/run/open-run.ts';
import { afterEvent, emptyList, type LoadedRuns, withFresh } from '../../src/page/runs/run-list.ts';

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

  test('with a chunk that has no time: missing chunks may have got another place, so all is read', () => {
    const { span, changes } = grow(run(known), channel({ chunk_count: 3, last_chunk_index: 7, span: null }));
    expect([span, changes]).toEqual([known, [['p', known]]]);
  });

  test('with a new channel: it stands where it stands when the page is opened again', () => {
    expect(grow(run(known), channel({ channel_name: 'a' })).names).toEqual(['a', 'p']);
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

describe('the list of runs', () => {
  const row = (dataId: string, created: number, status = 'finalized') =>
    ({ data_id: dataId, created_at: `2026-01-0${created}`, status, point_count: 0 }) as Run;
  const event = (dataId: string, status: RunStatus): RunEvent => ({
    ...{ data_id: dataId, status, point_count: 7, last_chunk_at: null, missing_chunk_count: 0, seconds: 1 },
  });
  const idsOf = ({ live, others }: LoadedRuns) => [live, others].map((runs) => runs.map(({ data_id }) => data_id));

  test('an interrupted run that is finalized says so; the list is read again, as it may not pass the filters any more', () => {
    const before = { ...emptyList, others: [row('a', 2, 'interrupted'), row('b', 1)] };
    const { list, isStale } = afterEvent(before, event('a', 'finalized'));
    expect(list.others.map(({ status, point_count }) => [status, point_count])).toEqual([
      ['finalized', 7],
      ['finalized', 0],
    ]);
    expect(isStale).toBe(true);
    expect(afterEvent(list, event('a', 'finalized')).isStale).toBe(false);
  });

  test('a run that has begun and ended before it was seen is sought too', () => {
    expect(afterEvent(emptyList, event('a', 'finalized'))).toEqual({ list: emptyList, isKnown: false, isStale: true });
  });

  test('a first page that is read again replaces what it covers; the rows after it stay', () => {
    const others = [row('d', 4), row('c', 3), row('b', 2), row('a', 1)];
    const before = { live: [row('e', 5, 'live'), row('A', 1, 'live')], others, total: 6, cursor: 'after a' };
    const page = { runs: [row('e', 5), row('c', 3)], next_cursor: 'after c', total: 5 };
    const after = withFresh(before, [], page);
    expect(idsOf(after)).toEqual([[], ['e', 'c', 'b', 'A', 'a']]);
    expect(after).toMatchObject({ total: 5, cursor: 'after a' });
    expect(after.others.find(({ data_id }) => data_id === 'A')?.status).toBe('interrupted');
    expect(idsOf(withFresh(before, [], { ...page, next_cursor: null }))).toEqual([[], ['e', 'c']]);
  });
});
