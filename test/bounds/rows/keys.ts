import { newApiKey } from '../../../src/auth/api-key.ts';
import { countsOf } from '../support/ask.ts';
import { chunkPath, expectStatuses, flood, get, jsonUnder, pipeline, slowest } from '../support/attack.ts';
import { chunkBody } from '../support/bodies.ts';
import type { Ground, Row } from '../support/ground.ts';
import type { Site } from '../support/lab.ts';
import { head } from '../support/lines.ts';
import { answerMsMax } from '../support/witness.ts';

/** Many small requests under keys that do not open. A third organization stores chunks as fast as it can meanwhile. */
export const keys: Row[] = [
  {
    name: 'random-keys',
    about: '20 connections pipeline 50 requests each under random keys of the right form',
    run: (ground) => besideIngest(ground, () => pipeline(ground, 20, () => manyUnder(50, newApiKey), 50)),
  },
  {
    name: 'random-keys-pipelined-600',
    about: '20 connections pipeline 600 requests each under random keys of the right form',
    run: (ground) => besideIngest(ground, () => pipeline(ground, 20, () => manyUnder(600, newApiKey), 600)),
  },
  {
    name: 'random-foreign-keys',
    about: '20 connections pipeline 50 requests each under random keys of another form',
    run: (ground) => besideIngest(ground, () => pipeline(ground, 20, () => manyUnder(50, foreignKey), 50)),
  },
  {
    name: 'mistyped-keys',
    about: '20 connections pipeline 50 requests each under keys with a typing error',
    run: (ground) => besideIngest(ground, () => pipeline(ground, 20, () => manyUnder(50, mistyped), 50)),
  },
  {
    name: 'revoked-key',
    about: '64 connections use a key that was revoked, without a pause',
    run: (ground) =>
      besideIngest(ground, async () => {
        const question = () => ({ key: ground.keys.revoked });
        const answers = await flood(ground, { connections: 64, path: '/tags/', question });
        expectStatuses(ground, 'a revoked key', answers, [401]);
        return answers.length;
      }),
  },
  {
    name: 'random-keys-with-chunks',
    about: '64 connections send chunks under a random key each',
    run: (ground) =>
      besideIngest(ground, async () => {
        const body = chunkBody({ dataId: unknownId, index: 0, channel: 'x' }, 100);
        const question = () => ({ key: newApiKey(), body });
        const answers = await flood(ground, { connections: 64, method: 'POST', path: chunkPath, question });
        // Whoever waits in the room of strangers may be told to come again.
        expectStatuses(ground, 'a random key', answers, [401, 503]);
        return answers.length;
      }),
  },
  {
    name: 'random-keys-unread',
    about: '200 connections send 100 requests under random keys at once and never read an answer',
    run: (ground) =>
      besideIngest(ground, async () => {
        const lines = await ground.lines(200, { reads: false });
        const sent = lines.map((line) => line.send(manyUnder(100, newApiKey)));
        await Promise.race([Promise.all(sent), ground.rest()]);
        return 0;
      }),
  },
  {
    name: 'first-use-of-a-key',
    about: 'a server has just started: known keys come for the first time while 20 connections pipeline random ones',
    own: {},
    run: useForTheFirstTime,
  },
  {
    name: 'two-keys',
    about: 'one request has two keys, one an empty one, one a key of 200 kB: each is refused',
    async run(ground) {
      const { attacker, other } = ground.keys;
      await ground.watched(async () => {
        const [line] = await ground.lines(1);
        if (line === undefined) return ground.blame('no connection');
        const pairs = [
          ['X-API-KEY', attacker],
          ['X-API-KEY', other],
        ] as const;
        await line.send(head('GET', '/tags/', pairs));
        await line.send(get('/tags/', ''));
        await line.send(get('/tags/', 'k'.repeat(200_000)));
        await Promise.race([line.untilAnswers(3), ground.rest()]);
        const statuses = line.statuses();
        if (statuses.length < 3 || statuses.some((status) => status !== 401 && status !== 400 && status !== 431)) {
          ground.blame(`answered ${statuses.join(', ')}`);
        }
      });
    },
  },
];

/** Known keys that the server has not seen since its start are looked up beside those that nobody has. */
async function useForTheFirstTime(ground: Ground): Promise<void> {
  const { third, attacker, reader } = ground.keys;
  const body = '{"stream_name":"first use","points_per_chunk":100,"project_id":null}';
  await ground.watched(async () => {
    const flooding = pipeline(ground, 20, () => manyUnder(600, newApiKey), 600);
    await ground.rest(300);
    const answers = await Promise.all([
      ground.ask('POST', '/tool-state/stream/initialize', { key: third, body }),
      ...[attacker, reader].map((key) => ground.ask('GET', '/tags/', { key })),
    ]);
    expectStatuses(ground, 'a known key', answers, [200]);
    ground.measure('the first answer under a known key', slowest(answers), { max: answerMsMax, unit: 'ms' });
    ground.note(`${await flooding} answers to attackers`);
  });
}

const unknownId = '00000000-0000-4000-8000-000000000000';
/** What must be left of the chunks that a third organization stores, beside a flood on the same two processors. */
const shareMin = 0.1;

/** Chunks in a second, measured once for each server. */
const ratesBefore = new WeakMap<Site, number>();

/** Attacks while a third organization stores chunks, and blames when little is left of its rate. */
async function besideIngest(ground: Ground, work: () => Promise<number>): Promise<void> {
  const dataId = await ground.openStream(ground.keys.third);
  let index = 0;
  const question = () => ({
    key: ground.keys.third,
    body: chunkBody({ dataId, index: index++, channel: 'third' }, 100),
  });
  const store = { connections: 8, method: 'POST', path: chunkPath, question };
  const before =
    ratesBefore.get(ground.site) ?? (await rateOf(ground, () => flood({ ...ground, ...timer(700) }, store)));
  ratesBefore.set(ground.site, before);
  await ground.watched(async () => {
    const [during, refused] = await Promise.all([rateOf(ground, () => flood(ground, store)), work()]);
    ground.note(`${refused} answers to attackers`);
    ground.measure('chunks of a third organization before', before, { unit: 'a second' });
    ground.measure('and meanwhile', during, { min: before * shareMin, unit: 'a second' });
  });
}

/** The clock of a shorter flood. */
function timer(ms: number) {
  const until = performance.now() + ms;
  return {
    isOver: () => performance.now() >= until,
    rest: (wanted = Number.POSITIVE_INFINITY) =>
      new Promise<void>((resolve) => setTimeout(resolve, Math.max(0, Math.min(wanted, until - performance.now())))),
  };
}

/** @returns chunks that were acknowledged in a second */
async function rateOf(ground: Ground, work: () => ReturnType<typeof flood>): Promise<number> {
  const startedAt = performance.now();
  const answers = await work();
  if (answers.some(({ status }) => status !== 201)) ground.blame(`a third organization: ${countsOf(answers)}`);
  return (answers.length / (performance.now() - startedAt)) * 1_000;
}

const manyUnder = (count: number, key: () => string) =>
  Array.from({ length: count }, () => head('GET', '/tags/', { 'X-API-KEY': key() })).join('');

const foreignKey = () => newApiKey().slice(5, 45).replace('_', '-');
const mistyped = () => `${newApiKey().slice(0, -1)}!`;

/** A chunk under a key, for those who pipeline. */
export const chunkUnder = (key: string, body: Buffer) =>
  Buffer.concat([Buffer.from(head('POST', chunkPath, { ...jsonUnder(key), 'Content-Length': body.length })), body]);
