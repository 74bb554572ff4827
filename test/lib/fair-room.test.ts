import { describe, expect, test, vi } from 'vitest';
import { createFairRoom, type FairRoomOptions } from '../../src/lib/fair-room.ts';

const settle = () => new Promise((resolve) => setImmediate(resolve));

function roomOf(options: Partial<FairRoomOptions>) {
  const room = createFairRoom({
    unitsMax: 8,
    waitingPerOwnerMax: 10,
    waitMsMax: 60_000,
    refuse: (why) => new Error(why),
    ...options,
  });
  const given: string[] = [];
  const ask = (owner: string, units = 1, signal?: AbortSignal) => {
    const one = { give: () => {}, error: undefined as unknown };
    room.take(owner, units, signal).then(
      (give) => {
        given.push(`${owner} ${units}`);
        one.give = give;
      },
      (error) => {
        one.error = error;
      },
    );
    return one;
  };
  return { room, given, ask };
}

describe('a room that owners share', () => {
  test('who does not want to wait has what is free at once, or nothing', async () => {
    const { room, given, ask } = roomOf({ unitsMax: 4 });
    const give = room.tryTake('lab', 2);
    expect([give, room.tryTake('lab', 1), room.heldUnits()]).toEqual([expect.any(Function), undefined, 2]);
    ask('lab', 1);
    // The units are free for others, and those of its own owner come first.
    expect(room.tryTake('rival', 1)).toBeDefined();
    give?.();
    await settle();
    expect([given, room.heldUnits()]).toEqual([['lab 1'], 2]);
    ask('lab', 3);
    expect(room.tryTake('lab', 1)).toBeUndefined();
    expect(room.waitingCount()).toBe(1);
  });

  test('an owner holds as many units as are still free, and there is room for whoever comes next', async () => {
    const { room, given, ask } = roomOf({});
    for (let i = 0; i < 6; i++) ask('lab');
    ask('rival', 2);
    ask('rival', 2);
    await settle();
    expect(given).toEqual(['lab 1', 'lab 1', 'lab 1', 'lab 1', 'rival 2']);
    expect([room.heldUnits(), room.waitingCount(), room.waiting()]).toEqual([
      6,
      3,
      [
        ['lab', 2],
        ['rival', 1],
      ],
    ]);
  });

  test('what comes free goes to the owners in turn; who came first of one owner is first, however much it wants', async () => {
    const { given, ask } = roomOf({ unitsMax: 4 });
    const holder = ask('holder', 4);
    await settle();
    for (const [owner, units] of [
      ['lab', 3],
      ['lab', 1],
      ['rival', 1],
      ['rival', 1],
    ] as const)
      ask(owner, units);
    await settle();
    holder.give();
    await settle();
    expect(given).toEqual(['holder 4', 'lab 3', 'rival 1']);
  });

  test('who wants more than there is gets all of it, alone', async () => {
    const { room, given, ask } = roomOf({ unitsMax: 4 });
    const one = ask('lab', 100);
    ask('rival', 1);
    await settle();
    expect([given, room.heldUnits()]).toEqual([['lab 100'], 4]);
    one.give();
    one.give();
    await settle();
    expect([given, room.heldUnits()]).toEqual([['lab 100', 'rival 1'], 1]);
  });

  test('beyond waitingPerOwnerMax, and after waitMsMax, a request is refused, and those behind it go on', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const { given, ask } = roomOf({ unitsMax: 2, waitingPerOwnerMax: 2, waitMsMax: 500 });
      ask('rival', 1);
      await settle();
      const wide = ask('lab', 2);
      await settle();
      const waits = ask('lab', 1);
      const tooMany = ask('lab', 1);
      await settle();
      expect(String(tooMany.error)).toContain('many');
      expect(given).toEqual(['rival 1']);
      vi.advanceTimersByTime(501);
      await settle();
      expect(String(wide.error)).toContain('late');
      // Both had waited as long.
      expect(waits.error ?? given.at(-1)).toBeDefined();
    } finally {
      vi.useRealTimers();
    }
  });

  test('who goes in the moment in which it is given units does not keep them', async () => {
    const { room, given, ask } = roomOf({ unitsMax: 2 });
    const [first, gone] = [ask('lab'), new AbortController()];
    const [next, last] = [ask('lab', 1, gone.signal), ask('lab', 1)];
    await settle();
    first.give();
    gone.abort(new Error('gone'));
    await settle();
    expect(next.error).toEqual(new Error('gone'));
    expect(given).toEqual(['lab 1', 'lab 1']);
    last.give();
    expect([room.heldUnits(), room.waitingCount()]).toEqual([0, 0]);
  });

  test('a signal ends the wait, and somebody behind goes on', async () => {
    const { room, given, ask } = roomOf({ unitsMax: 2 });
    ask('rival', 1);
    const gone = new AbortController();
    await settle();
    const wide = ask('lab', 2, gone.signal);
    ask('lab', 1);
    await settle();
    expect(given).toEqual(['rival 1']);
    gone.abort(new Error('gone'));
    await settle();
    expect(String(wide.error)).toContain('gone');
    expect(given).toEqual(['rival 1', 'lab 1']);
    await expect(room.take('lab', 1, gone.signal)).rejects.toThrow('gone');
    expect(room.waitingCount()).toBe(0);
  });
});
