import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { msMax } from '../../src/points/time.ts';
import { RememberedTimes } from '../../src/timeseries/remembered-times.ts';

describe('remembered times', () => {
  const ascending = fc
    .uniqueArray(fc.oneof(fc.nat(500), fc.integer({ min: -msMax / 4, max: msMax / 4 })), { maxLength: 200 })
    .map((list) => Float64Array.from(list).sort());

  test('come back as they were', () => {
    fc.assert(
      fc.property(ascending, fc.nat(200), (all, cut) => {
        const remembered = new RememberedTimes(1024 * 1024);
        remembered.add(all.subarray(0, cut));
        remembered.add(all.subarray(cut));
        expect([...remembered.batches()].flatMap((batch) => [...batch])).toEqual([...all]);
      }),
    );
  });

  test('fill more than one block', () => {
    const all = Float64Array.from({ length: 400_000 }, (_, i) => i * 300);
    const remembered = new RememberedTimes(4 * 1024 * 1024);
    remembered.add(all);
    expect(remembered.isComplete).toBe(true);
    let [at, wrong] = [0, 0];
    for (const batch of remembered.batches()) for (const ms of batch) if (ms !== all[at++]) wrong++;
    expect([at, wrong]).toEqual([all.length, 0]);
  });

  test('are forgotten beyond the bound, but still compared', () => {
    const all = Float64Array.from({ length: 300_000 }, (_, i) => i);
    const [kept, forgotten, other] = [
      new RememberedTimes(512 * 1024),
      new RememberedTimes(256 * 1024),
      new RememberedTimes(0),
    ];
    kept.add(all);
    forgotten.add(all);
    other.add(all.map((ms) => (ms === 299_999 ? 300_000 : ms)));
    expect([kept.isComplete, forgotten.isComplete]).toEqual([true, false]);
    expect(forgotten.equals(kept)).toBe(true);
    expect(forgotten.equals(other)).toBe(false);
  });

  test('the two ends of time do not lose a bit', () => {
    const remembered = new RememberedTimes(1024 * 1024);
    remembered.add(Float64Array.of(-msMax, msMax - 1));
    expect(remembered.isComplete).toBe(false);
  });
});
