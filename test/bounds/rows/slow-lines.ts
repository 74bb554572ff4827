import { gzipSync } from 'node:zlib';
import { countsOf } from '../support/ask.ts';
import { attack, chunkPath, drip, get, hold, jsonUnder } from '../support/attack.ts';
import { chunkBody } from '../support/bodies.ts';
import type { Ground, Row } from '../support/ground.ts';
import { head, piece } from '../support/lines.ts';

const large = { 'Content-Length': 33_554_432 };
const chunked = { 'Transfer-Encoding': 'chunked' };
const gzip = { 'Content-Encoding': 'gzip' };

/** Whoever has a key and is slow: a proxy that buffers, a slow line, a client that hangs. */
export const slowLines: Row[] = [
  {
    name: 'declared-bodies-of-reads',
    about: 'a key that may only read declares bodies of 32 MiB on four GETs of 4 MB and never sends or reads',
    run: async (ground) => {
      const dataId = await storedSeries(ground);
      const headers = { ...jsonUnder(ground.keys.reader), ...large };
      await hold(ground, 4, () => head('GET', `/tool-state/${dataId}/points/`, headers));
    },
  },
  {
    name: 'four-drips',
    about: 'four bodies of 32 MiB drip byte by byte',
    run: (ground) => dripBodies(ground, 4, large),
  },
  {
    name: 'many-drips',
    about: '300 bodies of 32 MiB drip byte by byte',
    run: (ground) => dripBodies(ground, 300, large),
  },
  {
    name: 'chunked-drips',
    about: '100 bodies of no length drip byte by byte',
    run: (ground) => dripBodies(ground, 100, chunked),
  },
  {
    name: 'gzip-drips',
    about: '100 compressed bodies drip byte by byte',
    run: (ground) => dripBodies(ground, 100, { ...gzip, 'Content-Length': 1_000_000 }),
  },
  {
    name: 'gzip-over-slow-line',
    about: 'no malice: four compressed chunks of 114 kB come over a slow line, and are stored',
    run: storeOverSlowLine,
  },
  {
    name: 'buffering-proxy',
    about: 'a proxy holds back the last byte of 100 chunks of 60 kB and of 20 chunks of 1 MB',
    run: (ground) =>
      hold(ground, 120, (i) => {
        const length = i < 100 ? 60_000 : 1_000_000;
        const body = Buffer.alloc(length - 1, ' ');
        const headers = { ...jsonUnder(ground.keys.attacker), 'Content-Length': length };
        return Buffer.concat([Buffer.from(head('POST', chunkPath, headers)), body]);
      }),
  },
  {
    name: 'drip-on-every-route',
    about: 'a body drips on every method of every path of the document, with a key',
    run: dripOnEveryRoute,
  },
  {
    name: 'dripping-heads',
    about: '300 connections send a byte of a header every 100 ms',
    run: (ground) =>
      attack(ground, 300, {}, async (line) => {
        await line.send('GET /healthz HTTP/1.1\r\nHost: bounds\r\nX-Slow: ');
        await drip(ground, line, Buffer.alloc(1_000, 'x'));
      }),
  },
  {
    name: 'expect-never-followed',
    about: '200 chunks announce 32 MiB, ask for leave to send (100-continue) and never do',
    run: (ground) =>
      hold(ground, 200, () =>
        head('POST', chunkPath, { ...jsonUnder(ground.keys.attacker), ...large, Expect: '100-continue' }),
      ),
  },
  {
    name: 'half-closed',
    about: '200 connections close their sending half after half a body, and stay',
    run: (ground) =>
      attack(ground, 200, { reads: false }, async (line) => {
        await line.send(head('POST', chunkPath, { ...jsonUnder(ground.keys.attacker), 'Content-Length': 2_000 }));
        await line.send('{"data_id":');
        line.finish();
      }),
  },
  {
    name: 'broken-off',
    about: '50 connections at a time send half a body of 100 kB and reset, again and again',
    run: (ground) =>
      ground.watched(async () => {
        const bytes = Buffer.concat([
          Buffer.from(head('POST', chunkPath, { ...jsonUnder(ground.keys.attacker), 'Content-Length': 100_000 })),
          Buffer.alloc(50_000, ' '),
        ]);
        for (let round = 0; round < 40 && !ground.isOver(); round++) {
          const lines = await ground.lines(50, { reads: false });
          await Promise.race([Promise.all(lines.map((line) => line.send(bytes))), ground.rest(100)]);
          for (const line of lines) line.socket.resetAndDestroy();
        }
      }),
  },
  {
    name: 'unread-answers',
    about: '100 connections ask 20 times for a series of 4 MB each and never read',
    run: async (ground) => {
      const dataId = await storedSeries(ground);
      await hold(ground, 100, () => get(`/tool-state/${dataId}/timeseries/`, ground.keys.reader).repeat(20));
    },
  },
  {
    name: 'idle-connections',
    about: '2,000 connections, 15,000 in full, are opened and say nothing',
    run: (ground) => hold(ground, ground.size(2_000, 15_000), () => ''),
  },
  {
    name: 'idle-after-an-answer',
    about: '1,000 connections ask once, read the answer and stay',
    run: (ground) => attack(ground, 1_000, {}, (line) => line.send(get('/healthz'))),
  },
];

async function dripBodies(ground: Ground, count: number, headers: Record<string, string | number>): Promise<void> {
  const dataId = await ground.openStream(ground.keys.attacker);
  const text = `{"data_id":"${dataId}","chunk_index":0,"channel_name":"drip","timestamps":[${'1,'.repeat(1_000)}`;
  const bytes = 'Content-Encoding' in headers ? gzipSync(text) : Buffer.from(text);
  await attack(ground, count, {}, async (line) => {
    await line.send(head('POST', chunkPath, { ...jsonUnder(ground.keys.attacker), ...headers }));
    const isChunked = 'Transfer-Encoding' in headers;
    for (let at = 0; at < bytes.length && !ground.isOver() && line.isOpen(); at++) {
      const byte = bytes.subarray(at, at + 1);
      await line.send(isChunked ? piece(byte) : byte);
      await ground.rest(100);
    }
  });
}

async function storeOverSlowLine(ground: Ground): Promise<void> {
  const dataId = await ground.openStream(ground.keys.attacker);
  // Digits of chance, so that they do not get small.
  const points = 4_300;
  const values = Array.from({ length: points }, () => Math.random());
  const timestamps = values.map((_, i) => 1_700_000_000 + i + Math.random());
  const text = (i: number) =>
    JSON.stringify({ data_id: dataId, chunk_index: i, channel_name: 'slow', timestamps, values });
  await ground.watched(async () => {
    const lines = await ground.lines(4);
    await Promise.all(
      lines.map(async (line, i) => {
        const body = gzipSync(text(i));
        const headers = {
          ...jsonUnder(ground.keys.attacker),
          'Content-Encoding': 'gzip',
          'Content-Length': body.length,
        };
        await line.send(head('POST', chunkPath, headers));
        const pieceBytes = Math.ceil(body.length / 10);
        for (let at = 0; at < body.length; at += pieceBytes) {
          await line.send(body.subarray(at, at + pieceBytes));
          await new Promise((resolve) => setTimeout(resolve, ground.attackMs / 12));
        }
        await Promise.race([line.untilAnswers(1), new Promise((resolve) => setTimeout(resolve, 2_000))]);
      }),
    );
    const answers = lines.map((line) => ({ status: line.statuses()[0] ?? 0 }));
    if (answers.some(({ status }) => status !== 201)) ground.blame(`the chunks were answered ${countsOf(answers)}`);
  });
}

async function dripOnEveryRoute(ground: Ground): Promise<void> {
  const { body } = await ground.ask('GET', '/openapi.yaml');
  const routes: [string, string][] = [];
  let path = '';
  for (const [, next, method] of body.matchAll(/^ {2}(\/\S*):$|^ {4}(get|post|put|patch|delete):$/gm)) {
    if (next !== undefined) path = next.replace(/\{revision\}/, '1').replace(/\{\w+\}/, unknownId);
    else routes.push([(method as string).toUpperCase(), path]);
  }
  if (routes.length < 50) throw new Error(`the document names ${routes.length} routes`);
  await attack(ground, routes.length, {}, async (line, i) => {
    const [method, url] = routes[i] as [string, string];
    await line.send(head(method, url, { ...jsonUnder(ground.keys.attacker), ...chunked }));
    for (const byte of Buffer.alloc(1_000, '{')) {
      if (ground.isOver() || !line.isOpen()) return;
      await line.send(piece(Buffer.from([byte])));
      await ground.rest(100);
    }
  });
}

const unknownId = '00000000-0000-4000-8000-000000000000';

/** A stream of 100,000 points in one chunk. @returns its data_id */
async function storedSeries(ground: Ground): Promise<string> {
  const dataId = await ground.openStream(ground.keys.attacker);
  const question = { key: ground.keys.attacker, body: chunkBody({ dataId, index: 0, channel: 'series' }, 100_000) };
  const { status, body } = await ground.ask('POST', chunkPath, question);
  if (status !== 201) throw new Error(`the series was answered ${status} ${body}`);
  return dataId;
}
