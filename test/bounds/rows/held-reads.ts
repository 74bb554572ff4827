import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds } from '../../../bench/support/processes.ts';
import { type Answer, countsOf } from '../support/ask.ts';
import { chunkPath, expectStatuses, get, hold, multiPath, slowest } from '../support/attack.ts';
import { chunkBody } from '../support/bodies.ts';
import type { Ground, Row } from '../support/ground.ts';
import { head } from '../support/lines.ts';
import { watchMemory } from '../support/memory.ts';
import { manyStreams } from './fairness.ts';
import { longSeries } from './reads.ts';

/** What a read holds while it goes on: the event loop, memory, and the database of whoever has gone. */
export const heldReads: Row[] = [
  {
    name: 'rows-of-many-channels',
    about:
      'rows of 2,000 channels whose 1,000 points stand at different times, the newest 999 and all, without a pause',
    run: readInterleaved,
  },
  {
    name: 'rows-in-memory',
    about: 'one client reads all of them by property and by row: the server grows by 150 MB at most',
    own: 'quiet',
    run: measureOneRead,
  },
  {
    name: 'rows-of-clients-that-go',
    about: 'six clients begin such a read and go: when its first piece has been sent, the server does nothing any more',
    own: 'quiet',
    run: closeAtOnce,
  },
  {
    name: 'catalogue-at-once',
    about: 'ten clients read all of 25,000 streams, and 30 never read them',
    run: readCatalogue,
  },
  // What these two leave behind takes the attackers' places for seconds, so rows of another server come next.
  {
    name: 'exports-unread',
    about: '100 connections ask for ten exports each and never read',
    async run(ground) {
      const dataId = await longSeries(ground);
      await hold(ground, 100, () => get(`/exports/${dataId}/?format=csv`, ground.keys.reader).repeat(10));
    },
  },
  {
    name: 'heads-unread',
    about: '100 connections ask for the heads of 100 exports each and never read',
    async run(ground) {
      const dataId = await longSeries(ground);
      const one = head('HEAD', `/exports/${dataId}/?format=parquet`, { 'X-API-KEY': ground.keys.reader });
      await hold(ground, 100, () => one.repeat(100));
    },
  },
  {
    name: 'slow-readers',
    about:
      'clients that never read: 400 of JSON, 400 of shorter JSON, 100 of wide CSV, 50 of wide Parquet, 50 of wide XLSX, 40 of Parquet on one connection',
    own: 'quiet',
    run: readSlowly,
  },
];

const channelsPerBody = 500;
/** What issue and docs/security.md say of one read. */
const oneReadMiB = 150;

const interleavedOf = new Map<string, string>();

/** A stream of channels none of whose points is at the ms of another; stored once for each database. */
async function interleaved(ground: Ground): Promise<string> {
  const [channelCount, pointCount] = [ground.size(500, 2_000), ground.size(200, 1_000)];
  const known = interleavedOf.get(ground.site.database);
  if (known !== undefined) return known;
  const key = ground.keys.attacker;
  const dataId = await ground.openStream(key);
  const values = JSON.stringify(Array.from({ length: pointCount }, (_, i) => i / 8));
  for (let first = 0; first < channelCount; first += channelsPerBody) {
    const members = Array.from({ length: channelsPerBody }, (_, i) => {
      const times = Array.from({ length: pointCount }, (_, k) => 1_700_000_000 + k * 2 + (first + i) / 1_000);
      return `"channel ${first + i}":{"timestamps":${JSON.stringify(times)},"values":${values}}`;
    });
    const body = `{"data_id":"${dataId}","chunk_index":0,"channels":{${members.join(',')}}}`;
    const { status, body: why } = await ground.ask('POST', multiPath, { key, body });
    if (status !== 201) throw new Error(`interleaved channels were answered ${status} ${why.slice(0, 200)}`);
  }
  interleavedOf.set(ground.site.database, dataId);
  return dataId;
}

async function readInterleaved(ground: Ground): Promise<void> {
  const dataId = await interleaved(ground);
  await ground.watched(async () => {
    const wanted = ground.size(199, 999);
    const path = `/rheed/timeseries/${dataId}/?last_n=${wanted}`;
    const answers = await Promise.all([1, 2].map(() => ground.ask('GET', path, { key: ground.keys.reader })));
    ground.note(`${countsOf(answers)}, ${Math.round(slowest(answers))} ms at worst`);
    expectStatuses(ground, 'a read by row', answers, [200]);
    for (const { body } of answers) {
      const rows = body.split('"unix_timestamp_ms"').length - 1;
      if (rows !== wanted) ground.blame(`${rows} rows, not ${wanted}`);
    }
  });
}

async function readCatalogue(ground: Ground): Promise<void> {
  await manyStreams(ground);
  const key = ground.keys.reader;
  await ground.watched(async () => {
    const grown = watchMemory(ground);
    const unread = await ground.lines(30, { reads: false });
    await Promise.all(unread.map((line) => line.send(get('/data_entries/', key))));
    // Ten whole lists take half a minute on two cores; what they do to others shows at once.
    const asked = Array.from({ length: 10 }, () => ground.ask('GET', '/data_entries/', { key, answerMsMax: 2_000 }));
    const answers = (await Promise.all(asked)).filter(({ status }) => status !== 0);
    ground.note(`${countsOf(answers)}, +${Math.round(grown())} MiB`);
    expectStatuses(ground, 'the catalogue', answers, [200, 503]);
  });
}

async function measureOneRead(ground: Ground): Promise<void> {
  const dataId = await interleaved(ground);
  await warm(ground);
  await ground.watched(async () => {
    const grown = watchMemory(ground);
    const answer = await ground.ask('GET', `/metrology/${dataId}/timeseries/`, { key: ground.keys.reader });
    ground.measure('grown by', grown(), { max: oneReadMiB, unit: 'MiB' });
    expectWhole(ground, answer);
  });
}

/** Each of the points stands in the answer by property and by row. */
function expectWhole(ground: Ground, answer: Answer): void {
  expectStatuses(ground, 'the read by row', [answer], [200]);
  const { body, ms } = answer;
  ground.note(`${Math.round(ms)} ms for ${Math.round(body.length / 1e6)} MB`);
  if (!body.endsWith('}]}')) ground.blame(`the read by row ends with ${JSON.stringify(body.slice(-40))}`);
}

async function closeAtOnce(ground: Ground): Promise<void> {
  const dataId = await interleaved(ground);
  await ground.watched(async () => {
    const lines = await ground.lines(6);
    await Promise.all(lines.map((line) => line.send(get(`/metrology/${dataId}/timeseries/`, ground.keys.reader))));
    await Promise.race([Promise.all(lines.map((line) => line.untilAnswers(1))), sleep(ground.size(1_000, 5_000))]);
    for (const line of lines) line.socket.destroy();
  });
  const used = () => Object.values(cpuSeconds(ground.site.pid())).reduce((sum, one) => sum + one, 0);
  // Who has closed the connection may still read (decision 0036), until something is written to it.
  const goneMs = await untilNoReads(ground);
  ground.measure('no reads any more after', goneMs, { max: 5_000, unit: 'ms' });
  const before = used();
  await sleep(1_000);
  ground.measure('processor afterwards', used() - before, { max: 0.2, unit: 's of 1 s' });
}

/** @returns the milliseconds until no read has a place, or ten seconds */
async function untilNoReads(ground: Ground): Promise<number> {
  const startedAt = performance.now();
  while (performance.now() - startedAt < 10_000) {
    const { body } = await ground.ask('GET', '/metrics', { key: ground.keys.admin });
    if (/^metrology_reads 0$/m.test(body)) break;
    await sleep(50);
  }
  return performance.now() - startedAt;
}

async function readSlowly(ground: Ground): Promise<void> {
  const json = await oneSeries(ground, 'series', ground.size(250_000, 500_000));
  const short = await oneSeries(ground, 'series', 100_000);
  const wide = await wideSeries(ground);
  await warm(ground);
  const { reader } = ground.keys;
  await ground.watched(async () => {
    const phases = [
      { what: 'JSON', count: 400, text: get(`/tool-state/${json}/timeseries/`, reader) },
      // The kernel takes whole answers of this length, and when all go, those that still wait are answered.
      { what: 'short JSON', count: 400, text: get(`/tool-state/${short}/timeseries/`, reader) },
      { what: 'wide CSV', count: 100, text: get(`/exports/${wide}/?format=csv&layout=wide`, reader) },
      { what: 'wide Parquet', count: 50, text: get(`/exports/${wide}/?format=parquet&layout=wide`, reader) },
      { what: 'wide XLSX', count: 50, text: get(`/exports/${wide}/?format=xlsx&layout=wide`, reader) },
      {
        what: 'pipelined Parquet',
        count: 1,
        text: get(`/exports/${wide}/?format=parquet&layout=wide`, reader).repeat(40),
      },
    ];
    for (const { what, count, text } of phases) {
      const grown = watchMemory(ground);
      const lines = await ground.lines(count, { reads: false });
      await Promise.all(lines.map((line) => line.send(text)));
      await sleep(ground.size(ground.attackMs, 8_000));
      ground.note(`${what} +${Math.round(grown())} MiB`);
      for (const line of lines) line.socket.destroy();
      await sleep(200);
    }
  });
}

async function oneSeries(ground: Ground, channel: string, points: number): Promise<string> {
  const key = ground.keys.attacker;
  const dataId = await ground.openStream(key);
  for (let index = 0; index * 10_000 < points; index++) {
    const { status } = await ground.ask('POST', chunkPath, {
      key,
      body: chunkBody({ dataId, index, channel }, 10_000),
    });
    if (status !== 201) throw new Error(`a series was answered ${status}`);
  }
  return dataId;
}

/** 400 channels of 1,000 points at the same times, in chunks of 100. */
async function wideSeries(ground: Ground): Promise<string> {
  const key = ground.keys.attacker;
  const dataId = await ground.openStream(key);
  for (let index = 0; index < 10; index++) {
    const series = (one: (i: number) => number) => JSON.stringify(Array.from({ length: 100 }, (_, i) => one(i)));
    const readings = `"timestamps":${series((i) => 1_700_000_000 + index * 10 + i / 10)},"values":${series((i) => i / 7)}`;
    const members = Array.from({ length: 400 }, (_, i) => `"channel ${i}":{${readings}}`);
    const body = `{"data_id":"${dataId}","chunk_index":${index},"channels":{${members.join(',')}}}`;
    const { status } = await ground.ask('POST', multiPath, { key, body });
    if (status !== 201) throw new Error(`a wide series was answered ${status}`);
  }
  return dataId;
}

/** What every server takes at its first reads is not theirs: code, and the young generation of V8. */
async function warm(ground: Ground): Promise<void> {
  const dataId = await oneSeries(ground, 'warm', 200_000);
  const paths = ['tool-state/ID/timeseries/', 'metrology/ID/timeseries/', 'exports/ID/?format=csv&layout=wide'];
  for (const path of [...paths, ...paths]) {
    await ground.ask('GET', `/${path.replace('ID', dataId)}`, { key: ground.keys.reader });
  }
}
