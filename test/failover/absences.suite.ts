import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject, test } from 'vitest';
import { triesOnce, triesThrice } from '../faults/support/as-sdk.ts';
import { openCluster } from '../faults/support/postgres-15.ts';
import { createRun, type Run, tellViolations } from '../faults/support/run.ts';
import { openSite } from '../faults/support/servers.ts';
import { startTcpProxy, type TcpProxy } from '../http/support/tcp-proxy.ts';
import { startWriters, sum } from './support/writers.ts';

/** refused: PostgreSQL takes no connection and the old ones are cut. silent: TCP acknowledges, nothing answers. */
type Kind = 'refused' | 'silent';
interface Absence {
  kind: Kind;
  seconds: number;
}

const rounds = Number(process.env.FAILOVER_ROUNDS ?? 1);
const seed = Number(process.env.FAILOVER_SEED ?? Date.now() % 1_000_000_000);
const lengths = rounds > 1 ? [5, 15, 24, 26, 28, 30, 35, 45, 60, 75, 90, 120] : [24, 60];
/** What a server that waits 28 s owes to clients that try once, and to those that try three times. */
const onceSecondsMax = 25;
const thriceSecondsMax = 60;
const atOnce = 4;

test('what an absence of PostgreSQL costs clients that try three times, and those that try once', async () => {
  const run = createRun(seed, 'small');
  const cluster = await openCluster();
  const absences = lengths.flatMap((seconds) =>
    (['refused', 'silent'] as const).map((kind): Absence => ({ kind, seconds })),
  );
  const table: string[] = [];
  try {
    await cluster.start();
    await cluster.query('create database lab');
    const next = async () => {
      for (let one = absences.shift(); one !== undefined; one = absences.shift()) {
        table.push(await suffer(run, inject('builtFolder'), cluster.url('lab'), one));
      }
    };
    await Promise.all(Array.from({ length: atOnce }, next));
    await run.audit({ databaseUrl: cluster.url('lab'), clients: [] });
  } finally {
    await cluster.remove();
    console.info(
      [`\nabsences, seed ${seed}`, ...table.sort(), run.report(), tellViolations(run.violations())].join('\n'),
    );
  }
  expect(run.violations().length, tellViolations(run.violations())).toBe(0);
});

/** A server of its own, whose way to PostgreSQL is gone for a while. @returns what is said of it */
async function suffer(run: Run, builtFolder: string, databaseUrl: string, { kind, seconds }: Absence): Promise<string> {
  const proxy = await startTcpProxy(databaseUrl);
  const site = await openSite(builtFolder, { DATABASE_URL: proxy.urlOf(databaseUrl), LOG_LEVEL: 'fatal' });
  const client = site.client();
  try {
    await site.start();
    const [thrice, once] = (await Promise.all(
      [triesThrice, triesOnce].map((generation) =>
        startWriters(run, { client, generation, writers: 2, chunksPerSecond: 5 }),
      ),
    )) as [Awaited<ReturnType<typeof startWriters>>, Awaited<ReturnType<typeof startWriters>>];
    await Promise.all([thrice.untilStored(), once.untilStored()]);
    await beAway(proxy, kind, seconds);
    await Promise.all([thrice.untilStored(), once.untilStored()]);
    await Promise.all([thrice.stop(), once.stop()]);
    run.fault(`absences, ${kind}`);
    const name = `${kind} for ${seconds} s`;
    const lost = { thrice: sum(thrice.givenUp()), once: sum(once.givenUp()) };
    if (lost.thrice > 0 && seconds <= thriceSecondsMax)
      run.blame(name, `${lost.thrice} chunks given up after three tries`);
    if (lost.once > 0 && seconds < onceSecondsMax) run.blame(name, `${lost.once} chunks lost by clients that try once`);
    return `${kind.padEnd(7)} for ${String(seconds).padStart(3)} s: lost ${lost.thrice} of ${thrice.pushed()} with three tries, ${lost.once} of ${once.pushed()} with one`;
  } finally {
    client.close();
    await site.stop();
    await proxy.close();
  }
}

async function beAway(proxy: TcpProxy, kind: Kind, seconds: number): Promise<void> {
  if (kind === 'refused') await proxy.close();
  else proxy.silence();
  await sleep(seconds * 1_000);
  if (kind === 'silent') await proxy.close();
  await proxy.open();
}
