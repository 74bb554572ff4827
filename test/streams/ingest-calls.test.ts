import { expect, test } from 'vitest';
import type { Outage } from '../../src/database/outage.ts';
import { createIngestCalls } from '../../src/streams/ingest-calls.ts';
import { streamLimits } from '../../src/streams/limits.ts';

/** Calls that take until they are let go, one at a time; the database is there. */
function harness(limits: Partial<typeof streamLimits>) {
  const outage: Pick<Outage, 'ms' | 'cause' | 'over' | 'begin'> = {
    ...{ ms: () => undefined, cause: () => undefined, over: async () => {}, begin() {} },
  };
  const { run } = createIngestCalls({ outage: outage as Outage }, { ...streamLimits, callsMax: 1, ...limits }, () => 0);
  const order: string[] = [];
  const going: (() => void)[] = [];
  const call = (organization: string, name: string) =>
    run(organization, 0, async () => {
      order.push(`${organization}${name}`);
      await new Promise<void>((resolve) => going.push(resolve));
    });
  /** Lets calls go until none is left. */
  const finish = async (all: Promise<unknown>[]) => {
    const timer = setInterval(() => going.shift()?.(), 1);
    await Promise.allSettled(all);
    clearInterval(timer);
  };
  return { call, order, finish };
}

test('calls of organizations take turns, so that nobody waits behind all of another one', async () => {
  const { call, order, finish } = harness({});
  const asked = ['1', '2', '3', '4'].map((name) => call('a', name));
  asked.push(call('b', '1'), call('c', '1'), call('b', '2'));
  await finish(asked);
  expect(order.join(' ')).toBe('a1 a2 b1 c1 a3 b2 a4');
});

test('an organization has as many as it leaves free of waitingCallsMax; what is refused says so', async () => {
  const { call, order, finish } = harness({ waitingCallsMax: 6 });
  const asked = ['1', '2', '3', '4'].map((name) => call('a', name));
  const refused = await asked[3]?.catch((error) => error);
  expect(refused).toMatchObject({ status: 503, message: expect.stringContaining('6 (waitingCallsMax)') });
  asked.push(call('b', '1'));
  await finish(asked);
  expect(order).toContain('b1');
  // Room is free again when they have gone.
  const again = call('a', '5');
  await finish([again]);
  await expect(again).resolves.toBeUndefined();
});
