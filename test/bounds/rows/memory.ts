import { setTimeout as sleep } from 'node:timers/promises';
import { newApiKey } from '../../../src/auth/api-key.ts';
import { type Answer, countsOf } from '../support/ask.ts';
import { chunkPath, expectStatuses, get, jsonUnder } from '../support/attack.ts';
import { bodyLimitBytes, chunkBody, filledBody, gzipped, pointsOfLargestBody } from '../support/bodies.ts';
import type { Ground, Row } from '../support/ground.ts';
import { head } from '../support/lines.ts';
import { postgresPids } from '../support/pids.ts';

/** All rooms at once, against the ceiling that docs/security.md states. */
export const memory: Row[] = [
  {
    name: 'all-rooms-full',
    about:
      'bodies, queue, parsers and strangers at once, with PostgreSQL stopped; then it goes on and all that is legal is 201',
    own: 'quiet',
    run: fillEverything,
  },
];

async function fillEverything(ground: Ground): Promise<void> {
  // Another organization than the attackers': whoever fills its own share of the room waits for itself.
  const { third } = ground.keys;
  const ofThird = await ground.openStream(third);
  const stoppedMs = ground.size(3_500, 10_000);
  const postgres = postgresPids(ground.lab.cluster.dataDir);
  await ground.watched(
    async () => {
      for (const pid of postgres()) process.kill(pid, 'SIGSTOP');
      const legal: Promise<Answer>[] = [];
      try {
        const store = (key: string, dataId: string, index: number, points: number) =>
          ground.ask('POST', chunkPath, { key, body: chunkBody({ dataId, index, channel: `${points}` }, points) });
        for (let i = 0; i < 400; i++) legal.push(store(third, ofThird, i, 100));
        for (let i = 0; i < 40; i++) legal.push(store(third, ofThird, i, 50_000));
        for (let i = 0; i < ground.size(4, 12); i++) legal.push(store(third, ofThird, i, pointsOfLargestBody));
        const strange = Promise.all([strangers(ground), slow(ground), heavy(ground)]);
        await sleep(stoppedMs);
        void strange.catch(() => {});
      } finally {
        for (const pid of postgres()) process.kill(pid, 'SIGCONT');
      }
      const answers = await Promise.all(legal);
      ground.note(`legal ${countsOf(answers)}, ${Math.round(Math.max(...answers.map(({ ms }) => ms)))} ms at worst`);
      expectStatuses(ground, 'a legal chunk', answers, [201]);
    },
    // PostgreSQL stands still for longer than anybody may wait: those who wait are 201 when it goes on, which the row looks at itself.
    { ingest: false },
  );
}

/** Random keys and pages that nobody reads. */
async function strangers(ground: Ground): Promise<void> {
  const lines = await ground.lines(200, { reads: false });
  const text = (i: number) =>
    i % 2 === 0
      ? Array.from({ length: 100 }, () => head('GET', '/tags/', { 'X-API-KEY': newApiKey() })).join('')
      : head('GET', '/docs/swagger-ui-bundle.js').repeat(50);
  await Promise.all(lines.map((line, i) => line.send(text(i))));
}

/** Bodies that stop after 1 MB, and series that nobody reads. */
async function slow(ground: Ground): Promise<void> {
  const lines = await ground.lines(100, { reads: false });
  const headers = { ...jsonUnder(ground.keys.attacker), 'Content-Length': bodyLimitBytes };
  const part = Buffer.alloc(1024 * 1024, ' ');
  await Promise.all(
    lines.map(async (line, i) => {
      if (i % 2 === 0) return line.send(get('/data_entries/', ground.keys.reader).repeat(100));
      await line.send(head('POST', chunkPath, headers));
      await line.send(part);
    }),
  );
}

/** Bodies that cost more than their bytes. */
async function heavy(ground: Ground): Promise<void> {
  const id = '00000000-0000-4000-8000-000000000000';
  const start = `{"data_id":"${id}","chunk_index":0,"channel_name":"x","timestamps":[1],"values":[1],"more":[`;
  const objects = () => filledBody(start, '{},', '{}]}', bodyLimitBytes);
  const question = { key: ground.keys.attacker, headers: { 'content-encoding': 'gzip' } };
  const body = gzipped('objects', objects);
  await Promise.all(Array.from({ length: 8 }, () => ground.ask('POST', chunkPath, { ...question, body })));
}
