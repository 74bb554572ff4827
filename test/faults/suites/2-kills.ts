// kill -9 of the server, of all its PostgreSQL processes, and of both, at random moments under load
import { setTimeout as sleep } from 'node:timers/promises';
import { type Load, startLoad } from '../support/load.ts';
import { killPostgres } from '../support/processes.ts';
import type { Run } from '../support/run.ts';
import { type EmbeddedSite, openEmbeddedSite } from '../support/servers.ts';

const writers = 12;
/** What is promised from the kill, or from the start of the server that was killed, to the next acknowledged chunk. */
const readyMsMax = 10_000;

type Victim = 'server' | 'PostgreSQL' | 'both';

export async function kills(run: Run, builtFolder: string): Promise<void> {
  const victims = plan(run);
  const site = await openEmbeddedSite(builtFolder, {}, { isHeld: true });
  try {
    await site.start();
    for (const victim of victims) await killOnce(run, site, victim);
    await run.audit({ databaseUrl: await site.databaseUrl(), clients: [site.client()] });
  } finally {
    await site.remove();
  }
}

/** Who is killed, in a random order. */
function plan(run: Run): Victim[] {
  const counts: [Victim, number][] = [
    ['server', run.size({ tiny: 1, small: 10, full: 500 })],
    ['PostgreSQL', run.size({ tiny: 1, small: 6, full: 100 })],
    ['both', run.size({ tiny: 1, small: 4, full: 50 })],
  ];
  const victims = counts.flatMap(([victim, count]) => Array.from({ length: count }, () => victim));
  return victims
    .map((victim) => ({ victim, order: run.random.next() }))
    .sort((one, other) => one.order - other.order)
    .map(({ victim }) => victim);
}

async function killOnce(run: Run, site: EmbeddedSite, victim: Victim): Promise<void> {
  const client = site.client();
  const load = await startLoad(run, { clients: [client], writers, streams: 2, mayAnswer: [503] });
  await load.untilStored();
  await sleep(run.random.integer(0, 600));
  run.fault(victim === 'server' ? 'server kills' : victim === 'both' ? 'kills of both' : 'PostgreSQL kills');
  await kill(run, site, victim, load);
  await sleep(100);
  await load.stop();
  run.history.settle();
  // What the other rounds have written is looked at again in the end.
  await run.audit({ databaseUrl: await site.databaseUrl(), clients: [client], dataIds: load.dataIds });
  client.close();
}

async function kill(run: Run, site: EmbeddedSite, victim: Victim, load: Load): Promise<void> {
  const { place } = site.server();
  const ready = { max: readyMsMax, unit: 'ms' };
  if (victim === 'PostgreSQL') {
    await killPostgres(place);
    run.measure('PostgreSQL killed, to the next acknowledged chunk', await load.untilStored(), ready);
    return;
  }
  if (victim === 'both' && run.random.chance(0.5)) await killPostgres(place);
  await site.kill();
  if (victim === 'both') await killPostgres(place).catch(() => {});
  const startedAt = performance.now();
  await Promise.all([load.untilStored(), site.start()]);
  run.measure(`${victim} killed, from its start to the next acknowledged chunk`, performance.now() - startedAt, ready);
}
