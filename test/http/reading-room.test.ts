import { afterEach, describe, expect, test } from 'vitest';
import { httpLimits } from '../../src/http/limits.ts';
import { createReadingRoom, type Place, type ReadingRoom } from '../../src/http/reading-room.ts';

const settle = () => new Promise((resolve) => setImmediate(resolve));

let room: ReadingRoom;
const clock = { ms: 0 };
afterEach(() => room.close());

function open(limits: Partial<typeof httpLimits>) {
  clock.ms = 0;
  room = createReadingRoom({ ...httpLimits, ...limits }, () => clock.ms);
  return room;
}

/** Enters, and tells whether it was let in. */
function enter(organization: string, { by = new AbortController().signal, cut = () => {} } = {}) {
  const one = { place: undefined as Place | undefined, error: undefined as unknown, cut };
  room.enter(organization, by, cut).then(
    (place) => {
      one.place = place;
    },
    (error) => {
      one.error = error;
    },
  );
  return one;
}

describe('places', () => {
  test('an organization has as many as are free; the next is served when one leaves', async () => {
    open({ readsMax: 4 });
    const of = ['lab', 'lab', 'lab', 'rival', 'lab'].map((name) => enter(name));
    await settle();
    expect(of.map(({ place }) => place !== undefined)).toEqual([true, true, false, true, false]);
    expect(room.counts()).toEqual({ reads: 3, waiting: 2, largeBytes: 0 });
    of[0]?.place?.leave();
    of[0]?.place?.leave();
    await settle();
    expect(of.map(({ place }) => place !== undefined)).toEqual([true, true, true, true, false]);
  });

  test('the bounds of waiting stand in what is answered', async () => {
    open({ readsMax: 1, waitingReadsMax: 1, readWaitMsMax: 20 });
    const of = ['lab', 'lab', 'lab'].map((name) => enter(name));
    await expect
      .poll(() => of[1]?.error)
      .toMatchObject({ status: 503, message: expect.stringMatching(/20 ms.*readsMax, 1 reads/) });
    expect(of[2]?.error).toMatchObject({
      status: 503,
      message: expect.stringMatching(/More than 1 reads.*waitingReadsMax/),
    });
  });

  test('who goes while it waits waits no longer, and its reading ends where it asks for its turn', async () => {
    open({ readsMax: 1 });
    const gone = new AbortController();
    const held = enter('lab', { by: gone.signal });
    const waits = enter('lab', { by: gone.signal });
    await settle();
    gone.abort(new Error('gone'));
    await settle();
    expect([String(waits.error), room.counts().waiting]).toEqual(['Error: gone', 0]);
    await expect(held.place?.reading.rest()).rejects.toThrow('gone');
    await expect(held.place?.reading.plan(async () => 1)).rejects.toThrow('gone');
    await expect(held.place?.reading.enlarge(1)).rejects.toThrow('gone');
  });
});

test('what is made apart goes on when the client has gone, and gives back its own', async () => {
  open({ largeReadBytesMax: 100 });
  const gone = new AbortController();
  const held = enter('lab', { by: gone.signal });
  await settle();
  const apart = held.place?.apart() as Place;
  gone.abort(new Error('gone'));
  held.place?.leave();
  await apart.reading.rest();
  await apart.reading.enlarge(30);
  expect(room.counts()).toEqual({ reads: 0, waiting: 0, largeBytes: 30 });
  apart.leave();
  expect(room.counts().largeBytes).toBe(0);
});

describe('what a read takes beside its place', () => {
  test('a few plan at a time', async () => {
    open({ readPlansMax: 4 });
    const order: string[] = [];
    const finish: (() => void)[] = [];
    const of = ['a', 'b', 'c'].map((name) => ({ name, one: enter('lab') }));
    await settle();
    const planned = of.map(({ name, one }) =>
      one.place?.reading.plan(async () => {
        order.push(name);
        await new Promise<void>((resolve) => finish.push(resolve));
      }),
    );
    await settle();
    expect(order).toEqual(['a', 'b']);
    finish[0]?.();
    await settle();
    expect(order).toEqual(['a', 'b', 'c']);
    for (const done of finish) done();
    await Promise.all(planned);
  });

  test('large memory is counted, waited for, and given back with the place', async () => {
    open({ largeReadBytesMax: 100 });
    const [a, b] = [enter('lab'), enter('lab')];
    await settle();
    await a.place?.reading.enlarge(40);
    const give = await a.place?.reading.enlarge(0);
    give?.();
    expect(room.counts().largeBytes).toBe(40);
    let isGiven = false;
    void b.place?.reading.enlarge(40).then(() => {
      isGiven = true;
    });
    await settle();
    expect(isGiven).toBe(false);
    a.place?.leave();
    await settle();
    expect([isGiven, room.counts().largeBytes]).toEqual([true, 40]);
  });
});

describe('a client that takes nothing for stalledReadMsMax', () => {
  test('is cut off for one of an organization that has fewer reads', async () => {
    open({ readsMax: 4, stalledReadMsMax: 100 });
    const cuts: string[] = [];
    const held = ['a', 'a', 'b', 'c'].map((name) => enter(name, { cut: () => cuts.push(name) }));
    await settle();
    for (const { place } of held) place?.waitForClient();
    clock.ms = 200;
    enter('d');
    await expect.poll(() => cuts[0]).toBe('a');
  });

  test('many that wait at once take no more from a larger organization than makes both equal', async () => {
    open({ readsMax: 4, stalledReadMsMax: 100 });
    const cuts: string[] = [];
    const held = ['a', 'a', 'b', 'c'].map((name) => {
      const cut = () => {
        cuts.push(name);
        one.place?.leave();
      };
      const one = enter(name, { cut });
      return one;
    });
    await settle();
    for (const { place } of held) place?.waitForClient();
    clock.ms = 200;
    const waits = Array.from({ length: 3 }, () => enter('d'));
    await expect.poll(() => waits.filter(({ place }) => place !== undefined).length).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(cuts).toEqual(['a']);
  });

  test('is not cut off for one of an organization that has as many: that one ends its own', async () => {
    open({ readsMax: 2, stalledReadMsMax: 100 });
    const cuts: string[] = [];
    const held = ['a', 'b'].map((name) => enter(name, { cut: () => cuts.push(name) }));
    await settle();
    for (const { place } of held) place?.waitForClient();
    clock.ms = 200;
    enter('b');
    await expect.poll(() => cuts[0]).toBe('b');
    expect(cuts).not.toContain('a');
  });

  test('is left alone while nobody of its organization waits, and then the longest is cut off', async () => {
    open({ readsMax: 4, stalledReadMsMax: 100 });
    const cuts: string[] = [];
    const slow = ['first', 'second'].map((name) => enter('lab', { cut: () => cuts.push(name) }));
    const other = enter('rival', { cut: () => cuts.push('rival') });
    await settle();
    for (const one of [...slow, other]) {
      one.place?.waitForClient();
      clock.ms += 10;
    }
    clock.ms += 1_000;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(cuts).toEqual([]);
    enter('lab');
    await expect.poll(() => cuts).toContain('first');
    expect(cuts).not.toContain('second');
    expect(cuts).not.toContain('rival');
  });

  test('is not cut off when it takes something now and then', async () => {
    open({ readsMax: 2, stalledReadMsMax: 100 });
    const cuts: string[] = [];
    const slow = enter('lab', { cut: () => cuts.push('slow') });
    await settle();
    enter('lab');
    for (let i = 0; i < 20; i++) {
      slow.place?.waitForClient();
      clock.ms += 90;
      await new Promise((resolve) => setTimeout(resolve, 5));
      slow.place?.goOn();
    }
    expect(cuts).toEqual([]);
  });

  test('is cut off for the sake of large reads only when it holds large memory itself', async () => {
    open({ largeReadBytesMax: 100, stalledReadMsMax: 100 });
    const cuts: string[] = [];
    const small = enter('lab', { cut: () => cuts.push('small') });
    const large = enter('lab', { cut: () => cuts.push('large') });
    const waits = enter('lab');
    await settle();
    await large.place?.reading.enlarge(80);
    small.place?.waitForClient();
    clock.ms += 10;
    large.place?.waitForClient();
    clock.ms += 200;
    void waits.place?.reading.enlarge(80).catch(() => {});
    await expect.poll(() => cuts.length).toBeGreaterThan(0);
    expect(cuts).not.toContain('small');
  });
});

test('what is got ready ahead takes only what is free, and never waits', async () => {
  open({ readPlansMax: 2, largeReadBytesMax: 100 });
  const one = enter('lab');
  await settle();
  const reading = (one.place as Place).reading;
  let end = () => {};
  const planned = reading.tryPlan(() => new Promise<string>((resolve) => (end = () => resolve('planned'))));
  expect(reading.tryPlan(async () => 'none')).toBeUndefined();
  const give = reading.tryEnlarge(40);
  expect([give, reading.tryEnlarge(40), room.counts()]).toMatchObject([{}, undefined, { largeBytes: 40, waiting: 0 }]);
  give?.();
  give?.();
  end();
  expect(await planned).toBe('planned');
  expect(await reading.tryPlan(async () => 'again')).toBe('again');
  reading.tryEnlarge(50);
  one.place?.leave();
  expect(room.counts()).toEqual({ reads: 0, waiting: 0, largeBytes: 0 });
});
