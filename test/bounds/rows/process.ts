import { mkdtemp, rm } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from '../../support/built-server.ts';
import { ask, countsOf } from '../support/ask.ts';
import { chunkPath, expectStatuses } from '../support/attack.ts';
import { chunkBody } from '../support/bodies.ts';
import type { Ground, Row } from '../support/ground.ts';

/** What the process itself stands on goes missing. */
export const processes: Row[] = [
  {
    name: 'no-descriptors',
    about: 'a server of 512 descriptors has 1,000 connections and then loses those to the database',
    own: { before: ['prlimit', '--nofile=512:512'] },
    run: runOutOfDescriptors,
  },
  {
    name: 'data-folder-deleted',
    about: 'the data folder of the embedded PostgreSQL is deleted: nothing is acknowledged a second later',
    run: deleteDataFolder,
  },
];

async function runOutOfDescriptors(ground: Ground): Promise<void> {
  const key = ground.keys.attacker;
  const dataId = await ground.openStream(key);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let index = 0;
  const store = (given: { agent?: Agent } = {}) => {
    const body = chunkBody({ dataId, index: index++, channel: 'x' }, 100);
    return ground.ask('POST', chunkPath, { key, body, answerMsMax: 5_000, ...given });
  };
  await store({ agent });
  await ground.watched(async () => {
    await Promise.race([ground.lines(1_000), ground.rest(1_000)]);
    await ground.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'metrology-server' and datname = current_database()`);
    const answers = [];
    for (let i = 0; i < 10; i++) {
      answers.push(await store({ agent }));
      await sleep(100);
    }
    ground.note(`on a kept connection ${countsOf(answers)}`);
    expectStatuses(ground, 'a chunk on a kept connection', answers, [201, 503]);
    if (answers.at(-1)?.status !== 201) ground.blame('no descriptor was kept for the database');
  });
  agent.destroy();
}

/** On a server of its own, which has its own PostgreSQL; the shared one is watched meanwhile and does not notice. */
async function deleteDataFolder(ground: Ground): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-bounds-'));
  const key = 'the-key-of-the-tests-of-bounds-0123456789';
  const settings = { DATA_DIR: join(folder, 'data'), BOOTSTRAP_API_KEY: key, LOG_LEVEL: 'fatal' };
  const server = await serve(ground.lab.builtFolder, settings);
  const port = Number(new URL(server.endpoint).port);
  try {
    const opening = '{"stream_name":"bounds","points_per_chunk":100,"project_id":null}';
    const opened = await ask(port, 'POST', '/tool-state/stream/initialize', { key, body: opening });
    const { data_id: dataId } = JSON.parse(opened.body) as { data_id: string };
    await ground.watched(async () => {
      const answers: { status: number; at: number }[] = [];
      let deletedAt = Number.POSITIVE_INFINITY;
      for (let index = 0; performance.now() < deletedAt + 2_000; index++) {
        if (index === 40) {
          await rm(settings.DATA_DIR, { recursive: true, force: true });
          deletedAt = performance.now();
        }
        const [at, body] = [performance.now(), chunkBody({ dataId, index, channel: 'x' }, 100)];
        const { status } = await ask(port, 'POST', chunkPath, { key, body, answerMsMax: 2_000 });
        answers.push({ status, at });
        await sleep(25);
      }
      const ready = await ask(port, 'GET', '/readyz', { answerMsMax: 2_000 });
      const after = answers.filter(({ at }) => at > deletedAt + 1_000);
      ground.note(`chunks ${countsOf(answers)}, later than a second ${countsOf(after)}, /readyz ${ready.status}`);
      const lost = after.filter(({ status }) => status === 201).length;
      if (lost > 0) ground.blame(`${lost} chunks were acknowledged and are gone`);
      const odd = answers.find(({ status }) => ![201, 503, 0].includes(status));
      if (odd !== undefined) ground.blame(`a chunk is answered ${odd.status}`);
      // A server that has ended refuses as well.
      if (ready.status !== 503 && ready.status !== 0) ground.blame(`/readyz is answered ${ready.status}`);
    });
  } finally {
    server.child.kill('SIGKILL');
    await server.exit();
    await rm(folder, { recursive: true, force: true });
  }
}
