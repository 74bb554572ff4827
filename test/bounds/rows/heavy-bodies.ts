import { constants, gzipSync } from 'node:zlib';
import { type Answer, countsOf } from '../support/ask.ts';
import { chunkPath, expectStatuses, multiPath } from '../support/attack.ts';
import { bodyLimitBytes, chunkBody, filledBody, gzipped, multiBody, pointsOfLargestBody } from '../support/bodies.ts';
import type { Ground, Row } from '../support/ground.ts';

/** Bodies that are within the limit of bytes and cost far more than those. None may stall the process. */
export const heavyBodies: Row[] = [
  {
    name: 'objects-nobody-asked-for',
    about: 'a chunk has 33 MB of {}, under an unknown field',
    run: (ground) => send(ground, 1, chunkPath, (dataId) => nonsense(dataId, '{},', '{}]}')),
  },
  {
    name: 'objects-nobody-asked-for-8',
    about: 'eight such chunks come at once',
    run: (ground) => send(ground, 8, chunkPath, (dataId) => nonsense(dataId, '{},', '{}]}')),
  },
  {
    name: 'objects-nobody-asked-for-gzip',
    about: 'eight such chunks come at once, compressed to 32 kB each',
    run: (ground) => sendCompressed(ground, 8, 'objects', (dataId) => nonsense(dataId, '{},', '{}]}')),
  },
  {
    name: 'nested-arrays',
    about: 'four chunks have 33 MB of [[[[ under an unknown field',
    run: (ground) => send(ground, 4, chunkPath, (dataId) => nonsense(dataId, '[', ']}')),
  },
  {
    name: 'short-strings',
    about: 'four chunks have 33 MB of short strings under an unknown field',
    run: (ground) => send(ground, 4, chunkPath, (dataId) => nonsense(dataId, '"a",', '"a"]}')),
  },
  {
    name: 'numbers-nobody-asked-for',
    about: 'four chunks have 33 MB of numbers under an unknown field',
    run: (ground) => send(ground, 4, chunkPath, (dataId) => nonsense(dataId, '1,', '1]}')),
  },
  {
    name: 'one-long-string',
    about: 'four chunks have a unit of 33 MB of escapes',
    run: (ground) =>
      send(ground, 4, chunkPath, (dataId) => filledBody(start(dataId, '"units":"'), '\\u0041', '"}', bodyLimitBytes)),
  },
  {
    name: 'one-name-again-and-again',
    about: 'four chunks name one field two million times',
    run: (ground) =>
      send(ground, 4, chunkPath, (dataId) => filledBody(start(dataId, ''), '"a":1,', '"b":1}', bodyLimitBytes)),
  },
  {
    name: 'strings-for-values',
    about: 'four chunks have 33 MB of values that are no numbers',
    run: (ground) =>
      send(ground, 4, chunkPath, (dataId) =>
        filledBody(start(dataId, '"timestamps":[1],"values":['), '"1",', '"1"]}', bodyLimitBytes),
      ),
  },
  {
    name: 'wrong-at-its-end',
    about: 'two chunks of 33 MB are legal but for their last byte',
    run: (ground) =>
      send(ground, 2, chunkPath, (dataId) => {
        const [first, series] = chunkBody({ dataId, index: 0, channel: 'wrong' }, pointsOfLargestBody);
        return Buffer.concat([first as Buffer, (series as Buffer).subarray(0, -1), Buffer.from(')')]);
      }),
  },
  {
    name: 'too-many-channels',
    about: 'a chunk of 200,000 channels without points, and one of 10,001 channels',
    run: (ground) =>
      send(ground, 2, multiPath, (dataId, i) => multiBody(dataId, 0, i === 0 ? 200_000 : 10_001, i === 0 ? 0 : 1)),
  },
  {
    name: 'gzip-bomb',
    about: 'six bodies of 32 kB are 33 MB of spaces, six of 256 kB would be 256 MB',
    run: (ground) =>
      ground.watched(async () => {
        const question = (body: Buffer) => ({ ...asAttacker(ground), body, headers: { 'content-encoding': 'gzip' } });
        const spaces = gzipped('spaces', () => Buffer.alloc(bodyLimitBytes - 1, ' '));
        const bomb = gzipped('bomb', () => Buffer.alloc(256 * 1024 * 1024, ' '), oneByte);
        const bodies = Array.from({ length: ground.size(12, 40) }, (_, i) => (i % 2 === 0 ? spaces : bomb));
        const answers = await Promise.all(bodies.map((body) => ground.ask('POST', chunkPath, question(body))));
        ground.note(countsOf(answers));
        expectStatuses(ground, 'a bomb', answers, [400, 413, 503]);
      }),
  },
  {
    name: 'large-bodies-elsewhere',
    about: 'documents of 33 MB come to the routes of the catalogue, two for each',
    run: (ground) =>
      ground.watched(async () => {
        const body = filledBody('{"name":[', '{},', '{}]}', bodyLimitBytes);
        const paths = [
          '/projects/',
          '/tags/',
          '/physical_samples/',
          '/data_entries/restore',
          '/tool-state/stream/initialize',
        ];
        const answers = await Promise.all(
          [...paths, ...paths].map((path) => ground.ask('POST', path, { ...asAttacker(ground), body })),
        );
        ground.note(countsOf(answers));
        expectStatuses(ground, 'a document of 33 MB', answers, [400, 413, 422, 503]);
      }),
  },
  {
    name: 'largest-chunk',
    about: 'no malice: a legal chunk of 32 MB is stored',
    run: (ground) => storeLargest(ground, 1),
  },
  {
    name: 'largest-chunks-8',
    about: 'no malice: eight legal chunks of 32 MB come at once and are stored',
    run: (ground) => storeLargest(ground, 8),
  },
  {
    name: 'most-channels',
    about: 'no malice: two chunks of 10,000 channels and one of 2,000 channels of 100 points are stored',
    async run(ground) {
      const dataIds = await Promise.all([0, 1, 2].map(() => ground.openStream(ground.keys.attacker)));
      await ground.watched(async () => {
        const answers = await Promise.all(
          dataIds.map((dataId, i) => {
            const body = multiBody(dataId, 0, i === 2 ? 2_000 : 10_000, i === 2 ? 100 : 1);
            return ground.ask('POST', multiPath, { ...asAttacker(ground), body });
          }),
        );
        ground.note(countsOf(answers));
        expectStatuses(ground, 'a legal chunk', answers, [201]);
      });
    },
  },
  {
    name: 'largest-chunks-gzip',
    about: 'no malice: four legal chunks of 32 MB come compressed and are stored',
    async run(ground) {
      const dataId = await ground.openStream(ground.keys.attacker);
      const bodies = Array.from({ length: 4 }, (_, i) =>
        gzipSync(Buffer.concat(chunkBody({ dataId, index: i, channel: 'gzip' }, pointsOfLargestBody)), { level: 1 }),
      );
      await ground.watched(async () => {
        const headers = { 'content-encoding': 'gzip' };
        const answers = await Promise.all(
          bodies.map((body) => ground.ask('POST', chunkPath, { ...asAttacker(ground), body, headers })),
        );
        ground.note(countsOf(answers));
        expectStatuses(ground, 'a legal chunk', answers, [201]);
      });
    },
  },
];

/** As small as by default where all bytes are the same, in half the time. */
const oneByte = { level: 1, strategy: constants.Z_RLE };
const asAttacker = ({ keys }: Ground) => ({ key: keys.attacker });
const start = (dataId: string, more: string) => `{"data_id":"${dataId}","chunk_index":0,"channel_name":"x",${more}`;

/** A chunk in which something stands again and again under a field that no schema names. */
const nonsense = (dataId: string, piece: string, end: string) =>
  filledBody(start(dataId, '"timestamps":[1],"values":[1],"more":['), piece, end, bodyLimitBytes);

/** Sends such bodies at once; they are refused with whatever fits. */
async function send(
  ground: Ground,
  count: number,
  path: string,
  body: (dataId: string, i: number) => Buffer,
): Promise<void> {
  const dataId = await ground.openStream(ground.keys.attacker);
  const bodies = Array.from({ length: count }, (_, i) => (i === 0 || path === multiPath ? body(dataId, i) : undefined));
  await watchRefusals(
    ground,
    bodies.map((own) => ({ ...asAttacker(ground), body: own ?? (bodies[0] as Buffer) })),
    path,
  );
}

async function sendCompressed(
  ground: Ground,
  count: number,
  name: string,
  body: (dataId: string) => Buffer,
): Promise<void> {
  const bytes = gzipped(name, () => body('00000000-0000-4000-8000-000000000000'));
  const question = { ...asAttacker(ground), body: bytes, headers: { 'content-encoding': 'gzip' } };
  await watchRefusals(
    ground,
    Array.from({ length: count }, () => question),
    chunkPath,
  );
}

async function watchRefusals(ground: Ground, questions: Parameters<Ground['ask']>[2][], path: string): Promise<void> {
  await ground.watched(async () => {
    const answers: Answer[] = await Promise.all(
      questions.map((question) => ground.ask('POST', path, { ...question, answerMsMax: 10_000 })),
    );
    ground.note(countsOf(answers));
    // What is ignored may be stored without it.
    expectStatuses(ground, 'the body', answers, [201, 400, 404, 413, 422, 503]);
  });
}

async function storeLargest(ground: Ground, count: number): Promise<void> {
  const dataId = await ground.openStream(ground.keys.attacker);
  await ground.watched(async () => {
    const answers = await Promise.all(
      Array.from({ length: count }, (_, i) => {
        const body = chunkBody({ dataId, index: i, channel: `largest ${i}` }, pointsOfLargestBody);
        return ground.ask('POST', chunkPath, { ...asAttacker(ground), body });
      }),
    );
    ground.note(`${countsOf(answers)} within ${Math.round(Math.max(...answers.map(({ ms }) => ms)))} ms`);
    expectStatuses(ground, 'a legal chunk of 32 MB', answers, [201]);
  });
}
