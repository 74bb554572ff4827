import fc from 'fast-check';
import { expect, test } from 'vitest';
import { httpLimits } from '../../src/http/limits.ts';
import { writeIrregular, writeMissing, writePresent } from '../../src/ledger/account-lists.ts';
import { ChannelAccount, type ChunkFacts } from '../../src/ledger/channel-account.ts';
import { ledgerLimits } from '../../src/ledger/limits.ts';
import { JsonWriter } from '../../src/lib/json-writer.ts';
import { pointLimits } from '../../src/points/limits.ts';

const pieceBytes = 8;
/** What a list is as JSON, written in pieces of few bytes. */
function listOf(write: typeof writePresent, account: ChannelAccount) {
  const writer = new JsonWriter(pieceBytes);
  const pieces = [...write(writer, account), writer.take()];
  return JSON.parse(Buffer.concat(pieces).toString());
}

const chunk = fc.record({
  chunkIndex: fc.oneof(fc.nat(12), fc.maxSafeNat()),
  pointCount: fc.integer({ min: 1, max: 3 }),
  timeMin: fc.option(fc.integer({ min: 0, max: 9 })),
  seconds: fc.nat(3),
  ascending: fc.boolean(),
});
const rest = {
  ...{ nullCount: 0, units: null, storedMicros: 0, changedMicros: 0, replacedCount: 0, isLate: false },
  contentHash: Buffer.alloc(32),
  implausibleTime: null,
};

/** Here every index is expected and any time is plausible. */
const limits = {
  ...{ ...httpLimits, ...ledgerLimits, ...pointLimits },
  habitStepsMin: Number.POSITIVE_INFINITY,
};

/** Chunks that follow each other and are irregular in the same ways, as the answer shows them. */
function runsOf(chunks: { chunkIndex: number; pointCount: number; irregularities: string[] }[]) {
  const runs = chunks.map(({ chunkIndex, pointCount, irregularities }) => ({
    ...{ chunk_index: chunkIndex, last_chunk_index: chunkIndex, chunk_count: 1, point_count: pointCount },
    irregularities,
  }));
  for (let i = runs.length - 1; i > 0; i--) {
    const [run, next] = runs.slice(i - 1, i + 1) as [(typeof runs)[0], (typeof runs)[0]];
    if (run.irregularities.join() !== next.irregularities.join()) continue;
    run.last_chunk_index = next.last_chunk_index;
    run.chunk_count += next.chunk_count;
    run.point_count += next.point_count;
    runs.splice(i, 1);
  }
  return runs.filter(({ irregularities }) => irregularities.length > 0);
}

test('ranges and irregular chunks are those that a look at each chunk finds', () => {
  const channels = fc.uniqueArray(chunk, { selector: ({ chunkIndex }) => chunkIndex, minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(channels, (drawn) => {
      const chunks: ChunkFacts[] = drawn
        .sort((a, b) => a.chunkIndex - b.chunkIndex)
        .map(({ seconds, ...one }) => ({
          ...rest,
          ...one,
          timeMax: one.timeMin === null ? null : one.timeMin + seconds,
        }));
      const account = new ChannelAccount(2, { fewest: 2, most: 2 }, limits);
      for (const one of chunks) account.add(one);
      account.finish();

      const present = listOf(writePresent, account) as [number, number][];
      const missing = listOf(writeMissing, account) as [number, number][];
      const isIn = (ranges: [number, number][], index: number) =>
        ranges.filter(([first, last]) => first <= index && index <= last).length;
      const indexes = new Set(chunks.map(({ chunkIndex }) => chunkIndex));
      for (const { chunkIndex } of chunks) {
        for (const index of [chunkIndex - 1, chunkIndex, chunkIndex + 1]) {
          if (index < 0 || index > account.holes.highestIndex) continue;
          expect([isIn(present, index), isIn(missing, index)]).toEqual(indexes.has(index) ? [1, 0] : [0, 1]);
        }
      }
      const all = [...present, ...missing].sort(([a], [b]) => a - b);
      expect(all[0]?.[0]).toBe(0);
      expect(all.at(-1)?.[1]).toBe(account.holes.highestIndex);
      all.slice(1).forEach(([first], i) => void expect(first).toBe((all[i] as [number, number])[1] + 1));
      expect(account.holes.missingCount).toBe(account.holes.highestIndex + 1 - chunks.length);

      const expected = chunks.map(({ chunkIndex, pointCount, ascending, timeMin }, i) => {
        const before = chunks.slice(0, i).findLast((one) => one.timeMax !== null)?.timeMax ?? null;
        const irregularities = [
          ...(pointCount > 2 ? ['long'] : []),
          ...(pointCount < 2 ? ['short'] : []),
          ...(ascending ? [] : ['not_ascending']),
          ...(timeMin !== null && before !== null && timeMin < before ? ['overlapping'] : []),
        ];
        return { chunkIndex, pointCount, irregularities };
      });
      expect(listOf(writeIrregular, account)).toEqual(runsOf(expected));
      expect(account.irregular.chunkCount).toBe(expected.filter((one) => one.irregularities.length > 0).length);
      const disorder = expected.filter(({ irregularities }) => /not_asc|overl/.test(irregularities.join()));
      expect(account.ascending).toBe(disorder.length === 0);
    }),
  );
});
