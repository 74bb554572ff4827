// the same chunk from 2 to 32 writers at once, equal and different, through two servers on one PostgreSQL 15
import pg from 'pg';
import { type ChunkRequest, openStream, prefixes, sendChunk } from '../support/chunks.ts';
import type { Client } from '../support/client.ts';
import { contentOf, imageOf } from '../support/content.ts';
import { openCluster } from '../support/postgres-15.ts';
import type { Run } from '../support/run.ts';
import { openSite } from '../support/servers.ts';

const roundsOfStream = 20;
const atOnce = 4;
const names = ['a', 'b', 'c', 'd', 'e', 'f'];

interface Race {
  run: Run;
  clients: Client[];
  database: pg.Pool;
}

export async function racingWriters(run: Run, builtFolder: string): Promise<void> {
  const rounds = run.size({ tiny: 8, small: 400, full: 20_000 });
  const cluster = await openCluster();
  await cluster.start();
  const sites = await Promise.all([1, 2].map(() => openSite(builtFolder, { DATABASE_URL: cluster.url() })));
  const database = new pg.Pool({ connectionString: cluster.url(), max: atOnce });
  try {
    for (const site of sites) await site.start();
    const clients = sites.map((site) => site.client());
    let begun = 0;
    const runStreams = async () => {
      while (begun < rounds) {
        begun += roundsOfStream;
        await raceStream({ run, clients, database });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, runStreams));
    const [stats] = await cluster.query(
      'select deadlocks::int from pg_stat_database where datname = current_database()',
    );
    run.measure('deadlocks that PostgreSQL had to end', Number(stats?.deadlocks), { max: 0, unit: '' });
    await run.audit({ databaseUrl: cluster.url(), clients });
  } finally {
    await database.end();
    for (const site of sites) await site.stop();
    await cluster.remove();
  }
}

async function raceStream(race: Race): Promise<void> {
  const { run, clients } = race;
  const dataId = await openStream(run.random.pick(clients), run.random.pick(prefixes), 50);
  for (let index = 0; index < roundsOfStream; index++) await raceOnce(race, dataId, index);
}

/** All writers send at once to both servers: all are acknowledged, and of one of them everything stands. */
async function raceOnce({ run, clients, database }: Race, dataId: string, index: number): Promise<void> {
  const { random } = run;
  const writers = random.pick([2, 3, 4, 8, 16, 32]);
  const isEqual = random.chance(0.3);
  const width = random.pick([1, 1, 2, 6]);
  const channels = names.slice(0, width);
  const equal = channels.map((name) => [name, run.newContent()] as const);
  const requests = Array.from({ length: writers }, (_, writer): ChunkRequest => {
    const own = isEqual ? equal : channels.map((name) => [name, run.newContent()] as const);
    const ordered = writer % 2 === 0 ? own : own.toReversed();
    return { dataId, index, channels: ordered, prefix: random.pick(prefixes) };
  });
  const sent = await Promise.all(
    requests.map((request, i) =>
      sendChunk(clients[i % 2] as Client, run.history, `writer ${i} of ${writers}`, request),
    ),
  );
  run.fault('races');
  for (const { outcome, answer, failure } of sent) {
    if (outcome === 'stored') continue;
    run.blame(`${dataId} ${index}`, `a writer is answered ${answer?.status ?? failure?.message} ${answer?.body ?? ''}`);
  }
  await blameMixture(run, database, dataId, index, requests);
}

/** What stands under an index must be of one request, in all channels. */
async function blameMixture(
  run: Run,
  database: pg.Pool,
  dataId: string,
  index: number,
  requests: readonly ChunkRequest[],
): Promise<void> {
  const { rows } = await database.query<{ channel_name: string; content_hash: Buffer }>(
    `select channel_name, content_hash from chunks join channels using (data_id, channel_id)
     where data_id = $1::uuid and chunk_index = $2::bigint`,
    [dataId, index],
  );
  const standing = new Map(rows.map((row) => [row.channel_name, row.content_hash.toString('hex')]));
  const isWinner = ({ channels }: ChunkRequest) =>
    channels.every(([name, content]) => standing.get(name) === imageOf(contentOf(content)).hash.toString('hex'));
  if (requests.some(isWinner)) return;
  const told = requests[0]?.channels.flatMap(([channel]) => run.history.tell({ dataId, index, channel })) ?? [];
  run.blame(`${dataId} ${index}`, 'what stands is of no single request', told);
}
