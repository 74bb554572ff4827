import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createReadingPace } from '../../src/http/reading-pace.ts';

const kibibytes = 1_024;
const read = 64 * kibibytes;

/** A source that brings one read whenever it flows, once a turn. */
function source(): Readable {
  return new Readable({ read() {} });
}

test('when unwantedBytesPerTurn have been read in a turn, each source pauses, and a few go on in the next', async () => {
  const pace = createReadingPace(4 * read);
  const sources = Array.from({ length: 20 }, source);
  let reads = 0;
  for (const one of sources) {
    one.on('data', (part: Buffer) => {
      reads++;
      pace.took(one, part.length);
    });
    one.push(Buffer.alloc(read));
  }
  await nextTurn();
  const paused = sources.filter((one) => one.isPaused());
  expect(paused).toHaveLength(17);
  // They bring more than they may, as connections do that send faster than they are read.
  for (const one of paused) for (let i = 0; i < 3; i++) one.push(Buffer.alloc(read));
  for (let turn = 0; turn < 8; turn++) {
    const before = reads;
    await nextTurn();
    expect(reads - before).toBeLessThanOrEqual(8);
  }
  await expect.poll(() => reads).toBe(20 + 17 * 3);
});

test('all of them go on in the end', async () => {
  const pace = createReadingPace(2 * read);
  const counts = new Map<Readable, number>();
  const sources = Array.from({ length: 10 }, source);
  for (const one of sources) {
    one.on('data', (part: Buffer) => {
      counts.set(one, (counts.get(one) ?? 0) + 1);
      pace.took(one, part.length);
    });
    for (let i = 0; i < 5; i++) one.push(Buffer.alloc(read));
  }
  await expect.poll(() => sources.map((one) => counts.get(one))).toEqual(sources.map(() => 5));
});

test('a source that ends while it waits for its turn keeps nobody', async () => {
  const pace = createReadingPace(1);
  const [first, second] = [source(), source()] as const;
  let got = 0;
  for (const one of [first, second]) one.on('data', () => got++);
  pace.took(first, 2);
  pace.took(second, 2);
  first.destroy();
  second.push('x');
  expect(got).toBe(0);
  await expect.poll(() => got).toBe(1);
});
