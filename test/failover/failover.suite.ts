import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject, test } from 'vitest';
import { createRun, type Run, shown, tellViolations } from '../faults/support/run.ts';
import { type Fault, faults } from './faults.ts';
import { type Bench, openBench } from './support/bench.ts';
import { blameLives, blameStreams } from './support/judge.ts';
import { sum } from './support/writers.ts';

const rounds = Number(process.env.FAILOVER_ROUNDS ?? 1);
const only = process.env.FAILOVER_ONLY;
const seed = Number(process.env.FAILOVER_SEED ?? Date.now() % 1_000_000_000);
/** Three tries of 30 s and the pauses between them. */
const lastTryMs = 92_000;

test('no instrument loses a chunk, whatever happens to the database and the server', async () => {
  const run = createRun(seed, rounds > 1 ? 'full' : 'small');
  const bench = await openBench(run, inject('builtFolder'));
  const table: string[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      for (const fault of faults()) {
        if (only !== undefined && !fault.name.includes(only)) continue;
        table.push(await suffer(run, bench, fault));
        console.info(table.at(-1));
      }
    }
    await settle(run, bench);
  } finally {
    await bench.close();
    console.info([`\nseed ${seed}`, ...table, run.report(), tellViolations(run.violations())].join('\n'));
  }
  expect(run.violations()).toHaveLength(0);
});

/** One fault under load, from a whole cluster to a whole cluster. @returns what is said of it */
async function suffer(run: Run, bench: Bench, fault: Fault): Promise<string> {
  const { thrice, once, cluster, probe } = bench;
  await Promise.all([thrice.untilStored(), once.untilStored()]);
  const before = [sum(thrice.givenUp()), sum(once.givenUp())] as const;
  probe.longestAwayMs();
  thrice.longestMs();
  run.fault(fault.name);
  const startedAt = performance.now();
  const injecting = fault.inject(bench);
  const awayMs = await thrice.untilStored();
  await injecting;
  // What a client that tries once has pushed by now is settled when its 30 s are over, and most of it long before.
  await sleep(3_000);
  const databaseAwayMs = probe.longestAwayMs();
  await fault.mend?.(bench);
  await cluster.untilWhole();
  await sleep(1_000);
  const lost = [sum(thrice.givenUp()) - before[0], sum(once.givenUp()) - before[1]] as const;
  const longestMs = thrice.longestMs();
  run.measure(`${fault.name}, to the next acknowledged chunk`, awayMs, { max: fault.awayMsMax, unit: 'ms' });
  if (lost[0] > 0) run.blame(fault.name, `${lost[0]} chunks given up after three tries: ${told(thrice.givenUp())}`);
  if (lost[1] > 0 && !fault.mayCutRequests)
    run.blame(fault.name, `${lost[1]} chunks lost by clients that try once: ${told(once.givenUp())}`);
  const seconds = (ms: number) => `${shown(ms / 1_000)} s`;
  return `${fault.name}: next chunk after ${seconds(awayMs)}, the database took no writes for ${seconds(databaseAwayMs)}, slowest chunk ${seconds(longestMs)}; given up: ${lost[0]} with three tries, ${lost[1]} with one; whole again ${seconds(performance.now() - startedAt)} after it began`;
}

/** Everybody ends, and everything that was pushed is looked for. */
async function settle(run: Run, bench: Bench): Promise<void> {
  const { thrice, once, cluster, client } = bench;
  await Promise.all([thrice.stop(), once.stop()]);
  run.seen('chunks pushed with three tries', thrice.pushed());
  run.seen('chunks pushed with one try', once.pushed());
  run.seen('given up with three tries', sum(thrice.givenUp()));
  run.seen('given up with one try', sum(once.givenUp()));
  await blameStreams(run, bench, lastTryMs);
  await blameLives(run, bench);
  await run.audit({ databaseUrl: cluster.url('superuser'), clients: [client] });
}

const told = (counts: ReadonlyMap<string, number>) =>
  [...counts].map(([what, count]) => `${count} × ${what}`).join(', ');
