import { type Answer, countsOf } from '../support/ask.ts';
import { chunkPath, expectStatuses, flood, multiPath } from '../support/attack.ts';
import { chunkBody, multiBody } from '../support/bodies.ts';
import type { Ground, Row } from '../support/ground.ts';

/** One organization reads as much as it may. What reads must bound beyond that has its rows here. */
export const reads: Row[] = [
  {
    name: 'series-without-pause',
    about: '16 connections read a series of 500,000 points without a pause',
    run: (ground) => readOften(ground, (dataId) => `/tool-state/${dataId}/timeseries/`),
  },
  {
    name: 'exports-without-pause',
    about: '16 connections export a series of 500,000 points as CSV and as Parquet without a pause',
    run: (ground) => readOften(ground, (dataId, i) => `/exports/${dataId}/?format=${i % 2 === 0 ? 'csv' : 'parquet'}`),
  },
  {
    name: 'workbooks-without-pause',
    about: '16 connections export a series of 500,000 points as XLSX without a pause',
    run: (ground) => readOften(ground, (dataId) => `/exports/${dataId}/?format=xlsx`),
  },
  {
    name: 'even-rows-without-pause',
    about: '16 connections export a million rows at even times of a series of 500,000 points without a pause',
    run: (ground) =>
      readOften(
        ground,
        (dataId, i) => `/exports/${dataId}/?layout=wide&every=1ms&fill=${i % 2 === 0 ? 'previous' : 'mean'}`,
      ),
  },
  {
    name: 'down-sampled-without-pause',
    about: '16 connections read 1,000 points of 500,000 without a pause',
    run: (ground) => readOften(ground, (dataId) => `/tool-state/${dataId}/timeseries/?max_points=1000`),
  },
  {
    name: 'odd-ranges',
    about: '32 connections ask for a thousand ranges, for none and for impossible ones, of a file and of an export',
    async run(ground) {
      const dataId = await longSeries(ground);
      const ranges = [
        `bytes=${'0-0,'.repeat(1_000)}1-1`,
        'bytes=',
        'bytes=9-1',
        'bytes=-0',
        `bytes=0-${'9'.repeat(400)}`,
        'x=1',
      ];
      const paths = ['/docs/swagger-ui-bundle.js', `/exports/${dataId}/?format=csv`];
      await ground.watched(async () => {
        const answers = await flood(ground, {
          connections: 32,
          path: (i) => paths[i % 2] as string,
          question: (i) => ({ key: ground.keys.reader, headers: { range: ranges[i % ranges.length] as string } }),
        });
        ground.note(countsOf(answers));
        expectStatuses(ground, 'an odd range', answers, [200, 206, 416]);
      });
    },
  },
  {
    name: 'removal-under-way',
    about: 'a stream of 20,000 chunks is removed while its ledger is read: it is whole, cut off or not there',
    run: readWhileRemoved,
  },
  {
    name: 'formulas-in-files',
    about: 'a channel is named as a formula behind a semicolon: a file that escapes formulas begins no cell with one',
    run: exportFormulas,
  },
];

const channelCount = 1_000;

const seriesOf = new Map<string, string>();

/** A stream of 500,000 points in chunks of 10,000, stored once for each database. */
export async function longSeries(ground: Ground): Promise<string> {
  const known = seriesOf.get(ground.site.database);
  if (known !== undefined) return known;
  const dataId = await ground.openStream(ground.keys.attacker);
  for (let index = 0; index < 50; index++) {
    const body = chunkBody({ dataId, index, channel: 'series' }, 10_000);
    const { status } = await ground.ask('POST', chunkPath, { key: ground.keys.attacker, body });
    if (status !== 201) throw new Error(`the series was answered ${status}`);
  }
  seriesOf.set(ground.site.database, dataId);
  return dataId;
}

async function readOften(ground: Ground, path: (dataId: string, i: number) => string): Promise<void> {
  const dataId = await longSeries(ground);
  await ground.watched(async () => {
    const question = () => ({ key: ground.keys.reader });
    const answers = await flood(ground, { connections: 16, path: (i) => path(dataId, i), question });
    ground.note(countsOf(answers));
    expectStatuses(ground, 'a read', answers, [200, 503]);
  });
}

async function readWhileRemoved(ground: Ground): Promise<void> {
  const key = ground.keys.attacker;
  const dataId = await ground.openStream(key);
  for (let index = 0; index < 20; index++) {
    const { status } = await ground.ask('POST', multiPath, { key, body: multiBody(dataId, index, channelCount, 1) });
    if (status !== 201) throw new Error(`the stream was answered ${status}`);
  }
  await ground.watched(async () => {
    const answers: Answer[] = [];
    let isRemoved = false;
    const readOn = async () => {
      while (!isRemoved) answers.push(await ground.ask('GET', `/tool-state/stream/${dataId}/chunks`, { key }));
    };
    const readers = [readOn(), readOn(), readOn(), readOn()];
    // Some are under way when it begins.
    await ground.rest(400);
    const removed = await ground.ask('DELETE', `/data_entries/?data_ids=${dataId}&permanent=true`, { key });
    isRemoved = true;
    await Promise.all(readers);
    const whole = answers.filter(({ status, body }) => {
      if (status !== 200) return false;
      const { channels } = JSON.parse(body) as { channels: { chunk_count: number }[] };
      const isWhole = channels.length === channelCount && channels.every(({ chunk_count }) => chunk_count === 20);
      if (!isWhole) ground.blame(`a ledger of ${channels.length} channels, not of ${channelCount}`);
      return isWhole;
    });
    ground.note(`${countsOf(answers)}, ${whole.length} whole`);
    // docs/reading.md: a stream that is removed cuts off what is being sent of it, which no client takes for a whole answer.
    const answered = answers.filter(({ status, body }) => status !== 0 || body !== 'aborted');
    expectStatuses(ground, 'a ledger', answered, [200, 404]);
    expectStatuses(ground, 'the removal', [removed], [200]);
  });
}

async function exportFormulas(ground: Ground): Promise<void> {
  const key = ground.keys.attacker;
  const dataId = await ground.openStream(key);
  const names = ['=1', ';=1', '\t=1', ';+1', ';@a', 'a\r=1'];
  for (const channel of names) {
    const { status, body } = await ground.ask('POST', chunkPath, {
      key,
      body: chunkBody({ dataId, index: 0, channel }, 2),
    });
    if (status !== 201) throw new Error(`the channel ${JSON.stringify(channel)} was answered ${status} ${body}`);
  }
  await ground.watched(async () => {
    const { status, body } = await ground.ask('GET', `/exports/${dataId}/?format=csv&escape_formulas=true`, { key });
    if (status !== 200) ground.blame(`the export is answered ${status} ${body}`);
    // As a program reads it that separates cells by commas, semicolons and tabs alike.
    const cells = body.split(/[,;\t\r\n]/).map((cell) => cell.replace(/^"/, ''));
    const formulas = cells.filter((cell) => /^[=@]|^[+-](?![\d.])|^\+/.test(cell));
    if (formulas.length > 0) ground.blame(`cells that are formulas: ${JSON.stringify(formulas.slice(0, 5))}`);
  });
}
