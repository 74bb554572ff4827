import { Agent } from 'node:http';
import { catalogueLimits } from '../../../src/catalogue/limits.ts';
import { type Answer, countsOf } from '../support/ask.ts';
import { chunkPath, expectStatuses, flood, get, multiPath, slowest } from '../support/attack.ts';
import { chunkBody, multiBody } from '../support/bodies.ts';
import type { Ground, Row } from '../support/ground.ts';
import type { Line } from '../support/lines.ts';
import { watchMemory } from '../support/memory.ts';

/** One organization does what it may, as much as it can; somebody else notices nothing. */
export const fairness: Row[] = [
  {
    name: 'ingest-of-64-connections',
    about: 'no malice: 64 connections store chunks of 100 points without a pause',
    async run(ground) {
      const dataId = await ground.openStream(ground.keys.attacker);
      await legal(ground, { connections: 64, path: chunkPath, body: (i) => chunkBody(at(dataId, i), 100) });
    },
  },
  {
    name: 'ingest-of-larger-chunks',
    about: 'no malice: 64 connections store chunks of 20,000 points without a pause',
    async run(ground) {
      const dataId = await ground.openStream(ground.keys.attacker);
      await legal(ground, { connections: 64, path: chunkPath, body: (i) => chunkBody(at(dataId, i), 20_000) });
    },
  },
  {
    name: 'everything-at-once',
    about: 'no malice: `run` sends 3,000 chunks at once, each on a connection of its own',
    async run(ground) {
      const dataId = await ground.openStream(ground.keys.attacker);
      await ground.watched(async () => {
        const answers = await Promise.all(
          Array.from({ length: ground.size(3_000, 10_000) }, (_, i) =>
            ground.ask('POST', chunkPath, { key: ground.keys.attacker, body: chunkBody(at(dataId, i), 100) }),
          ),
        );
        ground.note(countsOf(answers));
        expectStatuses(ground, 'a legal chunk', answers, [201]);
      });
    },
  },
  {
    name: 'opens-and-finalizes',
    about: 'no malice: 64 connections open streams without a pause',
    run: (ground) =>
      legal(ground, {
        connections: 64,
        path: '/tool-state/stream/initialize',
        status: 200,
        body: () => '{"stream_name":"flood","points_per_chunk":100,"project_id":null}',
      }),
  },
  {
    name: 'multi-of-1000-channels',
    about: 'no malice: 8 connections store chunks of 1,000 channels of 10 points without a pause',
    async run(ground) {
      const dataId = await ground.openStream(ground.keys.attacker);
      await legal(ground, { connections: 8, path: multiPath, body: (i) => multiBody(dataId, i, 1_000, 10) });
    },
  },
  {
    name: 'replays-of-one-chunk',
    about: '200 connections send the same chunk again and again, and each is answered as the first',
    async run(ground) {
      const dataId = await ground.openStream(ground.keys.attacker);
      await legal(ground, { connections: 200, path: chunkPath, body: () => chunkBody(at(dataId, 0), 100) });
    },
  },
  {
    name: 'one-address-for-all',
    about: '200 connections send different contents for one address, and others read it meanwhile',
    async run(ground) {
      const dataId = await ground.openStream(ground.keys.attacker);
      const key = ground.keys.attacker;
      const write = { key, path: chunkPath, method: 'POST' };
      await ground.watched(async () => {
        const [written, read] = await Promise.all([
          flood(ground, {
            ...write,
            connections: 200,
            question: (i) => ({ key, body: chunkBody(at(dataId, 0), 1 + (i % 500)) }),
          }),
          flood(ground, {
            connections: 8,
            path: `/tool-state/${dataId}/timeseries/`,
            question: () => ({ key: ground.keys.reader }),
          }),
        ]);
        ground.note(`written ${countsOf(written)}, read ${countsOf(read)}`);
        // 404 until the first is stored.
        expectStatuses(ground, 'a chunk', written, [201]);
        expectStatuses(ground, 'a read', read, [200, 404]);
      });
    },
  },
  {
    name: 'crowd-of-organizations',
    about:
      'twelve organizations, more than have a turn together, store chunks and read on 16 connections each without a pause',
    run: crowd,
  },
  {
    name: 'keyed-requests-ahead',
    about:
      '100 (500) connections under a key send 1,300 small requests at once and never read; of 2 (8) of another organization that read all are answered',
    own: 'quiet',
    run: sendAhead,
  },
  {
    name: 'wide-searches',
    about: 'ten searches a second over 25,000 streams of as many keywords as may be, and of 1,000, under one key',
    async run(ground) {
      await manyStreams(ground);
      const words = (count: number) => Array.from({ length: count }, (_, i) => `keywords=nothing-${i}`).join('&');
      const counts = [catalogueLimits.searchKeywordsMax, 1_000];
      await searches(
        ground,
        counts.map((count) => `/data_entries/?${words(count)}`),
      );
    },
  },
  {
    name: 'long-lists-of-ids',
    about: 'ten searches a second of 1,000 ids and 1,000 samples over 25,000 streams',
    async run(ground) {
      await manyStreams(ground);
      const id = (i: number) => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`;
      const ids = Array.from({ length: 1_000 }, (_, i) => `data_ids=${id(i)}&physical_sample_ids=${id(i)}`).join('&');
      await searches(ground, [`/data_entries/?${ids}`]);
    },
  },
  {
    name: 'whole-catalogue',
    about: '16 connections ask for all of 25,000 streams without a pause',
    async run(ground) {
      await manyStreams(ground);
      await ground.watched(async () => {
        const question = () => ({ key: ground.keys.reader });
        const answers = await flood(ground, { connections: 16, path: '/data_entries/', question });
        ground.note(countsOf(answers));
        expectStatuses(ground, 'the catalogue', answers, [200, 503]);
      });
    },
  },
];

async function crowd(ground: Ground): Promise<void> {
  const dataIds = await Promise.all(ground.keys.crowd.map(ground.openStream));
  await ground.watched(async () => {
    const floods = ground.keys.crowd.map((key, of) => {
      const question = (i: number) => ({ key, body: chunkBody(at(dataIds[of] as string, i), 100) });
      return flood(ground, { connections: 12, method: 'POST', path: chunkPath, question });
    });
    const reads = ground.keys.crowd.map((key) =>
      flood(ground, { connections: 4, path: '/data_entries/', question: () => ({ key }) }),
    );
    const answers = (await Promise.all(floods)).flat();
    const read = (await Promise.all(reads)).flat();
    ground.note(`stored ${countsOf(answers)}, read ${countsOf(read)}, ${Math.round(slowest(answers))} ms at worst`);
    expectStatuses(ground, 'a legal chunk', answers, [201]);
    expectStatuses(ground, 'a read', read, [200, 503]);
    if (!read.some(({ status }) => status === 200)) ground.blame('no read was answered 200');
  });
}

async function sendAhead(ground: Ground): Promise<void> {
  const { attacker, third } = ground.keys;
  const grown = watchMemory(ground);
  const count = 1_300;
  await ground.watched(async () => {
    // An organization whose clients never read, and one whose clients do.
    const unread = await ground.lines(ground.size(100, 500), { reads: false });
    const read = await ground.lines(ground.size(2, 8));
    await Promise.all(read.map((line) => line.send(get('/tags/', third))));
    await Promise.all(read.map((line) => line.untilAnswers(1)));
    const page = get('/docs/swagger-ui-bundle.js');
    const first = get('/tags/', attacker);
    const isKnown = (i: number) => i % 2 === 0;
    const agent = new Agent({ keepAlive: true });
    await ground.ask('GET', '/tags/', { key: attacker, agent });
    await Promise.all(unread.filter((_, i) => isKnown(i)).map((line) => line.send(first)));
    await ground.rest(100);
    const sent = unread.map((line, i) => line.send((isKnown(i) ? '' : first) + page.repeat(count)));
    const one = async (line: Line) => {
      await line.send(get('/healthz').repeat(count));
      await line.untilAnswers(1 + count);
    };
    await Promise.all(read.map(one));
    await Promise.race([Promise.all(sent), ground.rest()]);
    const answered = read.reduce((sum, line) => sum + line.statuses().length, 0);
    ground.note(`${answered} answers to those who read`);
    if (answered < read.length * (1 + count)) ground.blame(`${answered} were answered of those who read`);
    // The other instruments of those who do not.
    const own = [await ground.ask('GET', '/tags/', { key: attacker })];
    // On a connection that is there already it takes up to keyedOverMsMax, for which the small form has no time.
    if (ground.scale === 'full') own.push(await ground.ask('GET', '/tags/', { key: attacker, agent }));
    agent.destroy();
    ground.note(`${Math.round(slowest(own))} ms for their own organization`);
    expectStatuses(ground, 'their own organization', own, [200]);
  });
  ground.measure('memory grew by', grown(), { max: ground.size(150, 400), unit: 'MiB' });
}

const at = (dataId: string, index: number) => ({ dataId, index, channel: 'flood' });

interface Legal {
  connections: number;
  path: string;
  status?: number;
  body(i: number): string | Buffer | Buffer[];
}

/** Stores as fast as it goes; all of it is answered in order. */
async function legal(ground: Ground, { connections, path, status = 201, body }: Legal): Promise<void> {
  await ground.watched(async () => {
    const question = (i: number) => ({ key: ground.keys.attacker, body: body(i) });
    const answers = await flood(ground, { connections, method: 'POST', path, question });
    ground.note(`${countsOf(answers)}, ${Math.round(slowest(answers))} ms at worst`);
    expectStatuses(ground, 'what is legal', answers, [status]);
  });
}

/** Ten a second, of these paths in turn. Whoever asks for so much may be refused or has to wait; others do not notice. */
async function searches(ground: Ground, paths: string[]): Promise<void> {
  await ground.watched(async () => {
    const sent: Promise<Answer>[] = [];
    while (!ground.isOver()) {
      const path = paths[sent.length % paths.length] as string;
      sent.push(ground.ask('GET', path, { key: ground.keys.reader, answerMsMax: 2 * ground.attackMs }));
      await ground.rest(100);
    }
    const answers = await Promise.all(sent);
    ground.note(`${countsOf(answers)}, ${Math.round(slowest(answers))} ms at worst`);
    // 0 is none within the time for which this looks.
    expectStatuses(ground, 'a search', answers, [0, 200, 422, 503]);
  });
}

const filled = new Set<string>();

/** 25,000 streams of the attackers, made by SQL once for each database. */
export async function manyStreams(ground: Ground): Promise<void> {
  if (filled.has(ground.site.database)) return;
  await ground.openStream(ground.keys.attacker);
  await ground.query(`
    insert into streams (data_id, organization_id, user_id, stream_name, points_per_chunk)
    select gen_random_uuid(), organization_id, user_id, 'run ' || i || ' of chamber ' || i % 7, 100
    from (select organization_id, user_id from streams s join organizations o using (organization_id)
          where o.name = 'attackers' limit 1) owner, generate_series(1, 25000) i`);
  await ground.query(`
    insert into processed_data_entries (processed_data_id, data_id, organization_id)
    select gen_random_uuid(), data_id, organization_id from streams s
    where not exists (select from processed_data_entries p where p.data_id = s.data_id)`);
  await ground.query(`
    insert into channels (data_id, organization_id, channel_name, chunk_count, point_count)
    select data_id, organization_id, 'thickness', 1, 100
    from streams join organizations o using (organization_id)
    where o.name = 'attackers' and stream_name like 'run %'`);
  await ground.query('analyze streams, channels, processed_data_entries');
  filled.add(ground.site.database);
}
