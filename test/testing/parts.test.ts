import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packFolder, unpackFolder } from '../../src/testing/archive.ts';
import { type Facts, matcherOf, pathOf } from '../../src/testing/facts.ts';
import { createFaults } from '../../src/testing/faults.ts';
import { createJournal, type JournalRecord } from '../../src/testing/journal.ts';
import { chanceOf } from '../../src/testing/seed.ts';

const facts = (more: Partial<Facts> = {}): Facts => ({
  method: 'POST',
  path: '/metrology/stream/chunk',
  organizationId: undefined,
  dataId: undefined,
  channelNames: [],
  chunkIndex: undefined,
  ...more,
});

describe('a path is matched', () => {
  test.each([
    ['/metrology/stream/chunk', '/metrology/stream/chunk', true],
    ['/metrology/stream/chunk', '/metrology/stream/chunk/multi', false],
    ['/*/stream/chunk', '/tool-state/stream/chunk', true],
    ['/*/chunk', '/tool-state/stream/chunk', false],
    ['/**/chunk', '/tool-state/stream/chunk', true],
    ['/**/chunk', '/chunk', true],
    ['**/chunk', '/instrument-timeseries/chunk', true],
    ['/**/chunk/**', '/instrument-timeseries/chunk', true],
    ['/**/chunk/**', '/instrument-timeseries/chunk/multi', true],
    ['/**/chunk/**', '/instrument-timeseries/chunks', false],
    ['/**/chunk*', '/instrument-timeseries/chunks', true],
    ['/metrology/stream/????/finalize', '/metrology/stream/abcd/finalize', true],
    ['/projects/', '/projects', true],
    ['/a.c', '/abc', false],
    ['/a+(b)', '/a+(b)', true],
    ['**', '/whatever/there/is', true],
  ])('%s against %s: %s', (glob, path, fits) => {
    expect(matcherOf({ path: glob })(facts({ path }))).toBe(fits);
  });

  test('as the router sees it', () => {
    expect(pathOf('//projects///x/?a=/b/')).toBe('/projects/x');
    expect(pathOf('/')).toBe('/');
  });
});

describe('chance', () => {
  test('is the same for a seed and a purpose, however it is drawn, and no other', () => {
    fc.assert(
      fc.property(fc.string(), fc.array(fc.integer({ min: 0, max: 80 }), { maxLength: 8 }), (seed, lengths) => {
        const whole = chanceOf(seed, 'a').bytes(lengths.reduce((sum, length) => sum + length, 0));
        const drawn = chanceOf(seed, 'a');
        expect(Buffer.concat(lengths.map((length) => drawn.bytes(length)))).toEqual(whole);
      }),
    );
    const first = chanceOf('s', 'a').bytes(16);
    for (const other of [chanceOf('s', 'b'), chanceOf('t', 'a')]) expect(other.bytes(16)).not.toEqual(first);
    const { fraction } = chanceOf('s', 'dice');
    const fractions = Array.from({ length: 10_000 }, fraction);
    expect(Math.min(...fractions)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...fractions)).toBeLessThan(1);
    expect(fractions.reduce((sum, one) => sum + one) / 10_000).toBeCloseTo(0.5, 1);
  });

  test('of a rule does not depend on other rules', () => {
    const rule = { probability: 0.5, action: { status: 503 } };
    const hits = (others: number) => {
      const faults = createFaults({ seed: 's', rulesMax: 9, delayMsMax: 9 });
      const { id } = faults.add(rule);
      for (let other = 0; other < others; other++) faults.add({ ...rule, match: { method: 'GET' } });
      return Array.from({ length: 50 }, () => {
        faults.take('before', facts({ method: 'GET', path: '/other' }));
        return faults.take('before', facts())?.id === id;
      });
    };
    const alone = hits(0);
    expect(new Set(alone)).toEqual(new Set([true, false]));
    expect(hits(2)).toEqual(alone);
  });
});

test('rules are bounded, and so is the delay that one asks for', () => {
  const faults = createFaults({ seed: 's', rulesMax: 2, delayMsMax: 9 });
  expect(() => faults.add({ action: { delay_ms: 10 } })).toThrow(
    expect.objectContaining({ detail: [expect.objectContaining({ msg: 'at most 9 ms (faultDelayMsMax)' })] }),
  );
  for (const _ of [1, 2]) faults.add({ action: { hang: true } });
  expect(() => faults.add({ action: { hang: true } })).toThrow('There are 2 rules (faultRulesMax) already.');
});

describe('the journal', () => {
  const record = (bytes = 10): JournalRecord => ({ bytes, facts: facts(), entry: { number: 0 } as never });
  const numbers = (journal: ReturnType<typeof createJournal>) => journal.find({}).map(({ number }) => number);

  test('keeps so many requests, the newest, and says how many it dropped', () => {
    const journal = createJournal({ requestsMax: 3, bytesMax: 1_000 });
    for (let count = 0; count < 5; count++) {
      const one = record();
      journal.begin(one);
      journal.show(one);
    }
    expect([numbers(journal), journal.dropped()]).toEqual([[3, 4, 5], 2]);
    journal.clear();
    expect([numbers(journal), journal.dropped()]).toEqual([[], 0]);
  });

  test('keeps so many bytes of bodies', () => {
    const journal = createJournal({ requestsMax: 100, bytesMax: 25 });
    for (const bytes of [10, 10, 10, 30]) {
      const one = record(bytes);
      journal.begin(one);
      journal.show(one);
      if (bytes === 10) continue;
      expect([numbers(journal), journal.dropped()]).toEqual([[], 4]);
    }
  });

  test('is in the order of arrival, whatever is read first; what came before it was cleared stays out', () => {
    const journal = createJournal({ requestsMax: 9, bytesMax: 1_000 });
    const three = [record(), record(), record()] as [JournalRecord, JournalRecord, JournalRecord];
    for (const one of three) journal.begin(one);
    for (const one of [three[1], three[2], three[0], three[1]]) journal.show(one);
    expect(numbers(journal)).toEqual([1, 2, 3]);
    const late = record();
    journal.begin(late);
    journal.clear();
    journal.show(late);
    expect(numbers(journal)).toEqual([]);
  });
});

describe('a packed folder', () => {
  let place: string;
  beforeAll(() => {
    place = mkdtempSync(join(tmpdir(), 'metrology-packed-'));
  });
  afterAll(() => rmSync(place, { recursive: true }));

  test('comes back with its bytes and modes, less what is left out; a damaged one makes nothing', () => {
    const source = join(place, 'source');
    mkdirSync(join(source, 'deep/empty'), { recursive: true, mode: 0o700 });
    const bytes = Buffer.from(Array.from({ length: 1_000 }, (_, index) => (index * 7) % 256));
    writeFileSync(join(source, 'deep/data'), bytes, { mode: 0o640 });
    writeFileSync(join(source, 'nothing'), '');
    writeFileSync(join(source, 'spare'), 'x');
    const packed = packFolder(source, ['spare']);
    const target = join(place, 'target');
    unpackFolder(packed, target);
    expect(readFileSync(join(target, 'deep/data'))).toEqual(bytes);
    expect([
      statSync(join(target, 'deep/data')).mode & 0o777,
      statSync(join(target, 'deep/empty')).isDirectory(),
    ]).toEqual([0o640, true]);
    expect(packFolder(target)).toEqual(packed);
    for (let at = 0; at < packed.length; at += 97) {
      const damaged = Buffer.from(packed);
      damaged[at] = (damaged[at] as number) ^ 0x10;
      expect(() => unpackFolder(damaged, join(place, 'damaged'))).toThrow('damaged');
    }
    expect(() => unpackFolder(packed.subarray(0, 20), join(place, 'damaged'))).toThrow();
    expect(() => statSync(join(place, 'damaged'))).toThrow('ENOENT');
  });
});
