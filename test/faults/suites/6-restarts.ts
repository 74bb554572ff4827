// SIGTERM under load, and a rolling restart of two servers behind a plain TCP balancer
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startBalancer } from '../support/balancer.ts';
import type { ChunkRequest, Sent } from '../support/chunks.ts';
import { createClient } from '../support/client.ts';
import { contentOf, imageOf } from '../support/content.ts';
import { startLoad } from '../support/load.ts';
import { openCluster } from '../support/postgres-15.ts';
import type { Run } from '../support/run.ts';
import { apiKey, openEmbeddedSite, openSite } from '../support/servers.ts';

const writers = 24;
const exit = { max: 10_000, unit: 'ms' };
const gap = { max: 2_000, unit: 'ms' };

export async function restarts(run: Run, builtFolder: string): Promise<void> {
  await endUnderLoad(run, builtFolder);
  await rollUnderLoad(run, builtFolder);
}

/** One server with its own PostgreSQL, ended again and again. */
async function endUnderLoad(run: Run, builtFolder: string): Promise<void> {
  const site = await openEmbeddedSite(builtFolder, {}, { isHeld: true });
  try {
    await site.start();
    const clients = [site.client(), site.client({ keepAlive: false })];
    const watch = watchUnanswered(run);
    const load = await startLoad(run, { clients, writers, streams: 2, mayAnswer: [503], onSent: watch.onSent });
    for (let round = 0; round < run.size({ tiny: 1, small: 3, full: 50 }); round++) {
      await load.untilStored();
      await sleep(run.random.integer(0, 500));
      run.fault('SIGTERM');
      await watch.during(async () => {
        run.measure('SIGTERM under load, to the end of server and PostgreSQL', await site.stop(), exit);
        await site.start();
        return site.databaseUrl();
      });
    }
    await load.stop();
    await run.audit({ databaseUrl: await site.databaseUrl(), clients: clients.slice(0, 1) });
  } finally {
    await site.remove();
  }
}

/** Two servers on one PostgreSQL 15 take turns in being restarted. */
async function rollUnderLoad(run: Run, builtFolder: string): Promise<void> {
  const cluster = await openCluster();
  await cluster.start();
  const sites = await Promise.all([1, 2].map(() => openSite(builtFolder, { DATABASE_URL: cluster.url() })));
  for (const site of sites) await site.start();
  const balancer = await startBalancer(sites.map(({ endpoint }) => endpoint));
  try {
    const behind = { endpoint: () => balancer.endpoint, key: apiKey };
    const clients = [createClient(behind), createClient({ ...behind, keepAlive: false })];
    const watch = watchUnanswered(run);
    const load = await startLoad(run, { clients, writers, streams: 2, mayAnswer: [503], onSent: watch.onSent });
    for (let round = 0; round < run.size({ tiny: 1, small: 3, full: 50 }); round++) {
      for (const site of sites) {
        await sleep(run.random.integer(0, 500));
        run.fault('rolling restarts');
        await watch.during(async () => {
          const stopping = site.stop();
          run.measure('rolling restart, to the next acknowledged chunk', await load.untilStored(), gap);
          run.measure('rolling restart, to the end of a server', await stopping, exit);
          return cluster.url();
        });
        await site.start();
      }
    }
    await load.stop();
    await run.audit({ databaseUrl: cluster.url(), clients: sites.map((site) => site.client()), dataIds: load.dataIds });
  } finally {
    await balancer.close();
    for (const site of sites) await site.stop();
    await cluster.remove();
  }
}

/**
 * A request that a stopping server leaves without an answer must be one that it has not accepted: when the server has
 * ended, nothing of it may stand. Writers look before they send it again.
 */
function watchUnanswered(run: Run) {
  let restarted = Promise.resolve<string | undefined>(undefined);
  return {
    async during(restart: () => Promise<string>): Promise<void> {
      const done = restart();
      restarted = done.catch(() => undefined);
      await done;
    },
    async onSent({ failure, answer }: Sent, request: ChunkRequest): Promise<void> {
      if (answer?.status === 503) run.seen('answers 503 of a server that stops');
      if (failure === undefined) return;
      const { code = failure.message } = failure as NodeJS.ErrnoException;
      run.seen(`requests cut before they were accepted (${code})`);
      const databaseUrl = await restarted;
      if (databaseUrl !== undefined && code !== 'ECONNREFUSED') await blameStored(run, databaseUrl, request);
    },
  };
}

async function blameStored(run: Run, databaseUrl: string, { dataId, index, channels }: ChunkRequest): Promise<void> {
  const database = new pg.Client({ connectionString: databaseUrl });
  await database.connect();
  try {
    for (const [channel, content] of channels) {
      if (run.history.wasStored({ dataId, channel, index }, content)) continue;
      const { rowCount } = await database.query(
        `select from chunks join channels using (data_id, channel_id)
         where data_id = $1::uuid and channel_name = $2::text and chunk_index = $3::bigint and content_hash = $4::bytea`,
        [dataId, channel, index, imageOf(contentOf(content)).hash],
      );
      if (rowCount === 0) continue;
      run.blame(
        `stream ${dataId}, channel "${channel}", chunk ${index}`,
        'the server had accepted and stored it, and ended without an answer',
        run.history.tell({ dataId, channel, index }),
      );
    }
  } finally {
    await database.end();
  }
}
