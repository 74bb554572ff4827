import fc from 'fast-check';
import { expect, test } from 'vitest';
import { writeIrregular, writeMissing, writePresent } from '../../src/ledger/account-lists.ts';
import { ChannelAccount, type ChunkFacts } from '../../src/ledger/channel-account.ts';
import { ledgerLimits } from '../../src/ledger/limits.ts';
import { JsonWriter } from '../../src/lib/json-writer.ts';

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
};

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
      const account = new ChannelAccount(2, ledgerLimits);
      for (const one of chunks) account.add(one);
      account.finish();

      const present = listOf(writePresent, account) as [number, number][];
      const missing = listOf(writeMissing, account) as [number, number][];
      const isIn = (ranges: [number, number][], index: number) =>
        ranges.filter(([first, last]) => first <= index && index <= last).length;
      const indexes = new Set(chunks.map(({ chunkIndex }) => chunkIndex));
      for (const { chunkIndex } of chunks) {
        for (const index of [chunkIndex - 1, chunkIndex, chunkIndex + 1]) {
          if (index < 0 || index > account.highestChunkIndex) continue;
          expect([isIn(present, index), isIn(missing, index)]).toEqual(indexes.has(index) ? [1, 0] : [0, 1]);
        }
      }
      const all = [...present, ...missing].sort(([a], [b]) => a - b);
      expect(all[0]?.[0]).toBe(0);
      expect(all.at(-1)?.[1]).toBe(account.highestChunkIndex);
      all.slice(1).forEach(([first], i) => void expect(first).toBe((all[i] as [number, number])[1] + 1));
      expect(account.missingCount).toBe(account.highestChunkIndex + 1 - chunks.length);

      const expected = chunks.flatMap(({ chunkIndex, pointCount, ascending, timeMin }, i) => {
        const before = chunks.slice(0, i).findLast((one) => one.timeMax !== null)?.timeMax ?? null;
        const irregularities = [
          ...(pointCount > 2 ? ['long'] : []),
          ...(pointCount < 2 ? ['short'] : []),
          ...(ascending ? [] : ['not_ascending']),
          ...(timeMin !== null && before !== null && timeMin < before ? ['overlapping'] : []),
        ];
        return irregularities.length > 0 ? [{ chunk_index: chunkIndex, point_count: pointCount, irregularities }] : [];
      });
      expect(listOf(writeIrregular, account)).toEqual(expected);
      const disorder = expected.filter(({ irregularities }) => /not_asc|overl/.test(irregularities.join()));
      expect(account.ascending).toBe(disorder.length === 0);
    }),
  );
});
