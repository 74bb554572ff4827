import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject, test } from 'vitest';
import { createRun, type Run, tellViolations } from '../faults/support/run.ts';
import { type Fault, faults } from './faults.ts';
import { type Bench, openBench } from './support/bench.ts';
import { watchHealth } from './support/health.ts';
import { blameLives, blameStreams } from './support/judge.ts';
import { sum } from './support/writers.ts';

const rounds = Number(process.env.FAILOVER_ROUNDS ?? 1);
const { FAILOVER_ONLY } = process.env;
const only = new RegExp(FAILOVER_ONLY ?? '');
/** Absences below this cost clients that try once nothing, since a chunk waits 28 s. */
const onceMsMax = 25_000;
const seed = Number(process.env.FAILOVER_SEED ?? Date.now() % 1_000_000_000);

test('no instrument loses a chunk, whatever happens to the database and the server', async () => {
  const run = createRun(seed, rounds > 1 ? 'full' : 'small');
  const openedAt = performance.now();
  const bench = await openBench(run, inject('builtFolder'));
  const opened = `cluster, server, SDK and writers up after ${seconds(performance.now() - openedAt)}`;
  const table: string[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      for (const fault of faults()) {
        if (!only.test(fault.name) || (fault.isOfFullForm && rounds === 1 && FAILOVER_ONLY === undefined)) continue;
        table.push(await suffer(run, bench, fault));
        console.info(table.at(-1));
      }
    }
    await settle(run, bench);
  } finally {
    await bench.close();
    console.info([`\nseed ${seed}`, opened, ...table, run.report(), tellViolations(run.violations())].join('\n'));
  }
  expect(run.violations().length, tellViolations(run.violations())).toBe(0);
});

/** One fault under load, from a whole cluster to a whole cluster. @returns what is said of it */
async function suffer(run: Run, bench: Bench, fault: Fault): Promise<string> {
  const { thrice, once, cluster, probe } = bench;
  await Promise.all([thrice.untilStored(), once.untilStored()]);
  const before = [sum(thrice.givenUp()), sum(once.givenUp())] as const;
  const changesBefore = await cluster.leaderChanges();
  probe.longestAwayMs();
  thrice.longest();
  run.fault(fault.name);
  const [startedAt, from] = [performance.now(), Date.now()];
  const health = watchHealth(bench.server.endpoint);
  await fault.inject(bench);
  await thrice.untilStored();
  const { readyz, healthz } = await health.stop();
  if (fault.isAbsence && !(readyz.has(503) && healthz.size === 1 && healthz.has(200))) {
    run.blame(fault.name, `/readyz was answered ${[...readyz]}, /healthz ${[...healthz]}`);
  }
  // Those that waited are answered within a moment.
  await sleep(2_000);
  const changesAfter = await cluster.leaderChanges();
  const away = { databaseMs: probe.longestAwayMs(), ...thrice.longest() };
  if (fault.mayCutRequests || away.gapMs >= onceMsMax) bench.excused.push([from, Date.now()]);
  await fault.mend?.(bench);
  await cluster.untilWhole();
  await Promise.all([thrice.untilStored(), once.untilStored()]);
  const wholeMs = performance.now() - startedAt;
  const lost = [sum(thrice.givenUp()) - before[0], sum(once.givenUp()) - before[1]] as const;
  run.measure(`${fault.name}, longest without an acknowledged chunk`, away.gapMs, { max: fault.awayMsMax, unit: 'ms' });
  if (lost[0] > 0) run.blame(fault.name, `${lost[0]} chunks given up after three tries: ${told(thrice.givenUp())}`);
  if (lost[1] > 0 && !fault.mayCutRequests && away.gapMs < onceMsMax) {
    run.blame(fault.name, `${lost[1]} chunks lost by clients that try once: ${told(once.givenUp())}`);
  }
  return [
    `${fault.name}: no chunk acknowledged for ${seconds(away.gapMs)} (no write in the database for ${seconds(away.databaseMs)})`,
    `slowest chunk ${seconds(away.chunkMs)}, given up ${lost[0]} by writers that try three times, ${lost[1]} by those that try once`,
    `whole again ${seconds(wholeMs)} after it began`,
    `etcd changed its leader ${mostBetween(changesBefore, changesAfter)} times`,
  ].join('; ');
}

/** The most that one that was there before and after has counted. */
const mostBetween = (before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>) =>
  Math.max(0, ...[...after].map(([name, count]) => count - (before.get(name) ?? count)));

/** Everybody ends, and everything that was pushed is looked for. */
async function settle(run: Run, bench: Bench): Promise<void> {
  const { thrice, once, cluster, client } = bench;
  await Promise.all([thrice.stop(), once.stop()]);
  run.seen('chunks pushed with three tries', thrice.pushed());
  run.seen('chunks pushed with one try', once.pushed());
  run.seen('given up with three tries', sum(thrice.givenUp()));
  run.seen('given up with one try', sum(once.givenUp()));
  await blameStreams(run, bench);
  await blameLives(run, bench);
  await run.audit({ databaseUrl: cluster.url('superuser'), clients: [client] });
}

const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
const told = (counts: ReadonlyMap<string, number>) =>
  [...counts].map(([what, count]) => `${count} × ${what}`).join(', ');
