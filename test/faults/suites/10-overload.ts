// 5,000 chunks at once, also while PostgreSQL and its disk stand still: nothing is given up
import { setTimeout as sleep } from 'node:timers/promises';
import { sendAsSdk, triesOnce, triesThrice } from '../support/as-sdk.ts';
import { type ChunkRequest, openStream, prefixes } from '../support/chunks.ts';
import { openCluster } from '../support/postgres-15.ts';
import { residentMiB } from '../support/processes.ts';
import type { Run } from '../support/run.ts';
import { openSite, type Site } from '../support/servers.ts';

/** `run()` of the SDK opens a connection for each chunk, all at once. */
const sizes = { tiny: 300, small: 5_000, full: 5_000 };
const stallMs = { tiny: 1_000, small: 10_000, full: 20_000 };
/** What it takes without a stall, on a busy machine of two cores. */
const floodMsMax = 60_000;
const growth = { max: 600, unit: 'MiB' };

export async function overload(run: Run, builtFolder: string): Promise<void> {
  const cluster = await openCluster();
  await cluster.start();
  const site = await openSite(builtFolder, { DATABASE_URL: cluster.url(), LOG_LEVEL: 'fatal' });
  try {
    await site.start();
    const count = run.size(sizes);
    for (let round = 0; round < run.size({ tiny: 1, small: 1, full: 10 }); round++) {
      await flood(run, site, `${count} chunks at once`);
      const flooding = flood(run, site, `${count} chunks at once, PostgreSQL stands still meanwhile`);
      await sleep(200);
      // Its processes stop where they are, as they do behind a disk that does not answer.
      cluster.signal('SIGSTOP');
      await sleep(run.size(stallMs));
      cluster.signal('SIGCONT');
      await flooding;
    }
    await run.audit({ databaseUrl: cluster.url(), clients: [site.client()] });
  } finally {
    cluster.signal('SIGCONT');
    await site.stop();
    await cluster.remove();
  }
}

async function flood(run: Run, site: Site, name: string): Promise<void> {
  const client = site.client({ keepAlive: false });
  const dataId = await openStream(client, run.random.pick(prefixes), 60);
  const pid = site.server().child.pid as number;
  const before = residentMiB(pid);
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, residentMiB(pid));
  }, 100);
  const startedAt = performance.now();
  const all = await Promise.all(
    Array.from({ length: run.size(sizes) }, (_, index) => {
      const request: ChunkRequest = { dataId, index, channels: [['p', run.newContent()]], prefix: prefixes[0] };
      // One in ten as the older releases: what waits in a queue is answered within its 30 s, or it is lost.
      const generation = index % 10 === 0 ? triesOnce : triesThrice;
      return sendAsSdk(client, run.history, `chunk ${index}`, request, generation);
    }),
  );
  clearInterval(watch);
  client.close();
  run.fault(name);
  run.measure(`${name}, until all are answered`, performance.now() - startedAt, { max: floodMsMax, unit: 'ms' });
  run.measure(`${name}, memory above that before`, most - before, growth);
  const lost = all.filter(({ isGivenUp }) => isGivenUp);
  run.measure(`${name}, given up`, lost.length, { max: 0, unit: 'chunks' });
  run.seen('chunks tried more than once', all.filter(({ tries }) => tries > 1).length);
  for (const { answer, failure } of lost.slice(0, 3)) {
    run.note(`given up: ${answer?.status ?? failure?.message} ${answer?.body ?? ''}`);
  }
}
