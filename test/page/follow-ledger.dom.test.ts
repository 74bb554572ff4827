import { expect, test, vi } from 'vitest';
import type { Ledger, LedgerChannel } from '../../src/page/api/ledger.ts';
import type { LiveChannel } from '../../src/page/live/protocol.ts';
import { followLedger } from '../../src/page/run/follow-ledger.ts';

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const limits = { readMsMin: 30, quietMs: 20, pictureMsMax: 10_000 };
const channel = (of: Partial<LedgerChannel>) =>
  ({
    ...{
      channel_name: 'p',
      chunk_count: 2,
      highest_chunk_index: 1,
      missing_count: 0,
      skipped_count: 0,
      point_count: 20,
    },
    ...{ null_count: 0, present: [[0, 1]], missing: [], irregular: [] },
    ...of,
  }) as LedgerChannel;
const update = (of: Partial<LiveChannel>) =>
  ({ channel_name: 'p', chunk_count: 3, point_count: 30, last_chunk_index: 2, ...of }) as LiveChannel;

/** A follower of a server whose ledger is `stored.channels`. */
function follower() {
  const stored = { channels: [channel({})], isAway: false };
  const asked: string[][] = [];
  let shown: Ledger | undefined;
  const made = followLedger({
    limits,
    onLedger: (ledger) => {
      shown = ledger;
    },
    read: async (names) => {
      asked.push([...names]);
      const { channels, isAway } = stored;
      await sleep(5);
      if (isAway) throw new Error('away');
      return { points_per_chunk: 10, finalized_at: null, channels };
    },
  });
  return { made, stored, asked, shown: () => shown?.channels[0] };
}

test('what events add is shown at once, and read when nothing more comes: an event does not tell of absent readings', async () => {
  const { made, stored, shown, asked } = follower();
  made.begin();
  await vi.waitFor(() => expect(shown()?.chunk_count).toBe(2));
  stored.channels = [channel({ chunk_count: 3, highest_chunk_index: 2, point_count: 30, null_count: 4 })];
  made.changed([update({})]);
  expect(shown()).toMatchObject({ chunk_count: 3, null_count: 0 });
  await vi.waitFor(() => expect(shown()?.null_count).toBe(4));
  await sleep(60);
  expect(asked).toEqual([[], ['p']]);
  made.close();
});

test('an event that comes while the ledger is read is not lost', async () => {
  const { made, stored, shown } = follower();
  made.begin();
  // The answer that is under way does not have it yet.
  stored.channels = [channel({ chunk_count: 3, highest_chunk_index: 2, point_count: 30 })];
  made.changed([update({})]);
  await vi.waitFor(() => expect(shown()?.chunk_count).toBe(3));
  made.close();
});

test('a read that fails is repeated, until the view is closed', async () => {
  const { made, stored, shown, asked } = follower();
  stored.isAway = true;
  made.begin();
  await vi.waitFor(() => expect(asked.length).toBeGreaterThanOrEqual(2));
  stored.isAway = false;
  await vi.waitFor(() => expect(shown()?.chunk_count).toBe(2));
  stored.isAway = true;
  made.changed([update({ last_chunk_index: 7 })]);
  made.close();
  const { length } = asked;
  await sleep(80);
  expect(asked).toHaveLength(length);
});
