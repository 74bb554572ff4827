import { afterAll, beforeAll, describe } from 'vitest';
import { type Bench, type Stubbed, startBench, startStubbed } from './bench.ts';
import { describeInterruptions } from './interruptions.ts';
import type { Engine } from './proxies.ts';
import { describeRequests } from './requests-through.ts';

/** All that is tested of one proxy, in order: the last tests end the server and start it again. */
export function describeProxy(engine: Engine): void {
  describe.sequential(engine, () => {
    // Filled before the first test; the tests are named before that.
    const bench = {} as Bench;
    const stubbed = {} as Stubbed;
    beforeAll(async () => {
      Object.assign(stubbed, await startStubbed(engine));
      Object.assign(bench, await startBench(engine));
    });
    afterAll(async () => {
      await stubbed.stop?.();
      await bench.stop?.();
    });
    describeRequests(engine, bench);
    describeInterruptions(engine, bench, stubbed);
  });
}
