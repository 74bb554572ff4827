import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { readEventStream } from '../../src/page/live/event-stream.ts';
import { openLine } from '../../src/page/live/line.ts';
import type { LineState, Wish } from '../../src/page/live/protocol.ts';
import { createSwitchboard, type Listener, type Switchboard } from '../../src/page/live/switchboard.ts';

describe('a stream of events', () => {
  const text = 'retry: 700\n\n: heartbeat\n\nid: 7\nevent: channels\ndata: {"a":\ndata: 1}\n\nid:8\r\ndata:x\r\n\r\n';
  const events = [
    { id: '7', name: 'channels', data: '{"a":\n1}' },
    { id: '8', name: 'message', data: 'x' },
  ];

  test.each([1, 2, 3, 7, 1_000])('read in pieces of %d characters', (size) => {
    const reader = readEventStream();
    const read = [];
    for (let i = 0; i < text.length; i += size) read.push(...reader.add(text.slice(i, i + size)));
    expect(read).toEqual(events);
    expect(reader.retryMs()).toBe(700);
  });

  test('half an event is none', () => {
    expect(readEventStream().add('data: 1\n')).toEqual([]);
  });
});

/** A server that answers each connection as the next of the functions says. */
function fakeServer(...answers: ((headers: Headers) => Response | Error)[]) {
  const asked: Headers[] = [];
  const fetch = async (
    _url: unknown,
    { headers, signal }: { headers: Record<string, string>; signal: AbortSignal },
  ) => {
    asked.push(new Headers(headers));
    const answer = answers[Math.min(asked.length, answers.length) - 1]?.(new Headers(headers));
    if (answer instanceof Error) throw answer;
    if (signal.aborted) throw signal.reason;
    return answer;
  };
  return { asked, fetch: fetch as unknown as typeof globalThis.fetch };
}

function streamOf(...pieces: string[]): Response {
  const encoder = new TextEncoder();
  return new Response(
    new ReadableStream({
      start(controller) {
        for (const piece of pieces) controller.enqueue(encoder.encode(piece));
        controller.close();
      },
    }),
  );
}

describe('a line', () => {
  const limits = { silenceMsMax: 200, retryMsMin: 5, retryMsMax: 20, lookMs: 10 };

  test('goes on after the last event that came', async () => {
    const { asked, fetch } = fakeServer(
      () => streamOf('id: a\ndata: 1\n\n'),
      () => new TypeError('failed to fetch'),
      () => streamOf('id: b\ndata: 2\n\n'),
    );
    const events: string[] = [];
    const states: LineState[] = [];
    const line = openLine({
      url: 'x',
      fetch,
      limits,
      onEvent: ({ data }) => events.push(data),
      onState: (state) => states.push(state),
    });
    await vi.waitFor(() => expect(asked.length).toBeGreaterThanOrEqual(4));
    line.close();
    expect(events.slice(0, 2)).toEqual(['1', '2']);
    expect(asked.slice(0, 4).map((headers) => headers.get('last-event-id'))).toEqual([null, 'a', 'a', 'b']);
    expect(states.map(({ kind }) => kind).slice(0, 5)).toEqual(['connecting', 'open', 'lost', 'lost', 'open']);
    expect(states[3]).toMatchObject({ why: 'The server cannot be reached.' });
  });

  test('says what the server says', async () => {
    const { fetch } = fakeServer(
      () => new Response(JSON.stringify({ detail: 'PostgreSQL is away.' }), { status: 503 }),
    );
    const states: LineState[] = [];
    const line = openLine({ url: 'x', fetch, limits, onEvent: () => {}, onState: (state) => states.push(state) });
    await vi.waitFor(() => expect(states.at(-1)).toMatchObject({ kind: 'lost', why: 'PostgreSQL is away.' }));
    line.close();
  });

  test('ends where the session has ended', async () => {
    const { asked, fetch } = fakeServer(() => new Response('{}', { status: 401 }));
    const states: LineState[] = [];
    openLine({ url: 'x', fetch, limits, onEvent: () => {}, onState: (state) => states.push(state) });
    await vi.waitFor(() => expect(states.at(-1)).toEqual({ kind: 'signed-out' }));
    await sleep(50);
    expect(asked).toHaveLength(1);
  });

  test('of runs that nobody knows is no line that was lost', async () => {
    const { asked, fetch } = fakeServer(() => new Response('{}', { status: 404 }));
    const states: LineState[] = [];
    const line = openLine({ url: 'x', fetch, limits, onEvent: () => {}, onState: (state) => states.push(state) });
    await vi.waitFor(() => expect(asked.length).toBeGreaterThan(2));
    line.close();
    expect(states[0]).toEqual({ kind: 'connecting' });
    expect(new Set(states.slice(1).map(({ kind }) => kind))).toEqual(new Set(['unknown']));
  });

  test('is taken for dead after so long without a byte, heartbeats included', async () => {
    let ended = 0;
    const silent = (signal: AbortSignal) =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode(': heartbeat\n\n'));
            signal.addEventListener('abort', () => {
              ended++;
              controller.error(signal.reason);
            });
          },
        }),
      );
    const fetch = (async (_url: unknown, { signal }: { signal: AbortSignal }) =>
      silent(signal)) as unknown as typeof globalThis.fetch;
    const states: LineState[] = [];
    let nowMs = 1_000;
    const line = openLine({
      url: 'x',
      fetch,
      limits,
      now: () => nowMs,
      onEvent: () => {},
      onState: (state) => states.push(state),
    });
    await vi.waitFor(() => expect(states.at(-1)).toEqual({ kind: 'open' }));
    await sleep(50);
    expect(ended).toBe(0);
    nowMs += 201;
    await vi.waitFor(() =>
      expect(states).toContainEqual({ kind: 'lost', sinceMs: 1_000, why: 'The server is silent.' }),
    );
    await vi.waitFor(() => expect(states.at(-1)).toEqual({ kind: 'open' }));
    line.close();
  });

  test('one that hangs while it is made is given up when somebody asks for another try, and in time by itself', async () => {
    let made = 0;
    const fetch = ((_url: unknown, { signal }: { signal: AbortSignal }) => {
      made++;
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    }) as unknown as typeof globalThis.fetch;
    let nowMs = 1_000;
    const line = openLine({
      ...{ url: 'x', fetch, now: () => nowMs, onEvent: () => {}, onState: () => {} },
      limits: { ...limits, openMsMax: 100, hangMsMin: 50 },
    });
    await vi.waitFor(() => expect(made).toBe(1));
    line.again();
    await sleep(50);
    expect(made).toBe(1);
    nowMs += 51;
    line.again();
    await vi.waitFor(() => expect(made).toBe(2));
    nowMs += 101;
    await vi.waitFor(() => expect(made).toBe(3));
    line.close();
  });
});

describe('the switchboard', () => {
  function board() {
    let opened = 0;
    const open = new Map<string, { tell(name: string, data: object): void; state(state: LineState): void }>();
    const switchboard = createSwitchboard(({ url, onEvent, onState }) => {
      opened++;
      open.set(url, { tell: (name, data) => onEvent({ id: '', name, data: JSON.stringify(data) }), state: onState });
      return { close: () => open.delete(url), again: () => {} };
    });
    return { switchboard, open, openedCount: () => opened };
  }
  const want = (switchboard: Switchboard, one: Listener, wish: Wish) => switchboard.take(one, { kind: 'want', wish });
  const runA: Wish = { base: '/', dataIds: ['a'], list: false };
  function listener() {
    const told: string[] = [];
    const states: string[] = [];
    const one: Listener = {
      onEvent: (name, data) => told.push(`${name} ${data}`),
      onLine: ({ kind }) => states.push(kind),
    };
    return { one, told, states };
  }

  test('ten tabs need one connection', () => {
    const { switchboard, open } = board();
    const tabs = Array.from({ length: 10 }, listener);
    for (const [i, { one }] of tabs.entries())
      want(switchboard, one, { base: '/', dataIds: [`run-${i}`], list: false });
    expect([...open.keys()]).toEqual([`/live?${tabs.map((_, i) => `data_id=run-${i}`).join('&')}`]);
    [...open.values()][0]?.tell('channels', { data_id: 'run-3' });
    expect(tabs.map(({ told }) => told.length)).toEqual([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for (const { one } of tabs) switchboard.leave(one);
    expect(open.size).toBe(0);
  });

  test('more runs than a connection takes are watched by several', () => {
    const { switchboard, open } = board();
    const dataIds = Array.from({ length: 101 }, (_, i) => `run-${i}`);
    const { one, told } = listener();
    want(switchboard, one, { base: '/', dataIds, list: true });
    expect([...open.keys()].map((url) => url.split('data_id').length - 1)).toEqual([50, 50, 1, 0]);
    for (const connection of open.values()) connection.tell('run', { data_id: 'run-1' });
    expect(told.length).toBeGreaterThanOrEqual(2);
  });

  test('who comes later is told how the line is', () => {
    const { switchboard, open } = board();
    const [first, second] = [listener(), listener()];
    want(switchboard, first.one, runA);
    [...open.values()][0]?.state({ kind: 'open' });
    want(switchboard, second.one, runA);
    expect(second.states).toEqual(['open']);
    expect(open.size).toBe(1);
  });

  test('a line of a session that has ended is opened anew for somebody who signs in', () => {
    const { switchboard, open } = board();
    const { one } = listener();
    want(switchboard, one, runA);
    const before = [...open.values()][0];
    before?.state({ kind: 'signed-out' });
    want(switchboard, one, runA);
    expect([...open.values()][0]).not.toBe(before);
  });

  test('who comes later begins with the whole state too: the connection is made again, which nobody notices', () => {
    const { switchboard, open, openedCount } = board();
    const [first, second] = [listener(), listener()];
    want(switchboard, first.one, runA);
    [...open.values()][0]?.state({ kind: 'open' });
    want(switchboard, first.one, runA);
    expect(openedCount()).toBe(1);
    want(switchboard, second.one, runA);
    expect(openedCount()).toBe(2);
    const now = [...open.values()][0];
    now?.state({ kind: 'connecting' });
    now?.tell('channels', { data_id: 'a' });
    expect(first.states).toEqual(['open', 'open']);
    expect(second.states).toEqual(['open']);
    expect(second.told).toHaveLength(1);
    now?.state({ kind: 'lost', sinceMs: 0, why: '' });
    expect(second.states).toEqual(['open', 'lost']);
  });

  test('of runs that nobody knows any more tells that they are deleted, as the server does of one among others', () => {
    const { switchboard, open } = board();
    const { one, told, states } = listener();
    want(switchboard, one, runA);
    const line = [...open.values()][0];
    line?.state({ kind: 'open' });
    line?.state({ kind: 'lost', sinceMs: 0, why: '' });
    line?.state({ kind: 'unknown' });
    expect(told).toEqual(['status {"data_id":"a","status":"deleted"}']);
    expect(states).toEqual(['open', 'lost', 'unknown']);
  });

  test('who comes later to the list learns that the line is open, and reads the list', () => {
    const { switchboard, open, openedCount } = board();
    const list: Wish = { base: '/', dataIds: [], list: true };
    want(switchboard, listener().one, list);
    [...open.values()][0]?.state({ kind: 'open' });
    const later = listener();
    want(switchboard, later.one, list);
    expect([openedCount(), later.states]).toEqual([1, ['open']]);
  });

  test.each(['here', 'again'] as const)('a tab that was taken for closed goes on when it says %s', (kind) => {
    const { switchboard, open, openedCount } = board();
    const { one, told, states } = listener();
    want(switchboard, one, runA);
    [...open.values()][0]?.state({ kind: 'open' });
    switchboard.take(one, { kind, wish: runA });
    expect(openedCount()).toBe(1);
    switchboard.leave(one);
    expect(open.size).toBe(0);
    switchboard.take(one, { kind, wish: runA });
    [...open.values()][0]?.state({ kind: 'open' });
    [...open.values()][0]?.tell('channels', { data_id: 'a' });
    // It was cut off meanwhile, so that the view reads again what no event repeats.
    expect(states).toEqual(['open', 'lost', 'open']);
    expect(told).toHaveLength(1);
  });
});
