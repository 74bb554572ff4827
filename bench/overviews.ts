/**
 * What it costs to read windows of long runs, and what overviews cost: the rows of docs/performance.md under "Any window of any run".
 *
 *   npm run bench:overviews                                       # a million points a channel; two minutes
 *   npm run bench:overviews -- --points 10000000 --rounds 5       # as it stands in the table; some 6 GB of disk
 *   npm run bench:overviews -- --only zoom --only cost            # only some parts: reads, zoom, growth, statistics, cost
 *   npm run bench:overviews -- --markdown                         # the table as Markdown
 */
import { parseArgs } from 'node:util';
import { openBed } from './overviews/bed.ts';
import { costForIngest } from './overviews/cost.ts';
import { fillRun, removeRuns } from './overviews/fill.ts';
import { fewPoints, growth, manyChannels, shortWindow, zoom } from './overviews/reads.ts';
import { statisticsAgainstSql } from './overviews/statistics.ts';
import { openBench } from './support/bench.ts';
import { describeMachine } from './support/machine.ts';
import { readArguments } from './support/options.ts';
import { isInstalled } from './support/processes.ts';
import { markdownTable, textTable } from './support/report.ts';
import type { Result } from './support/row.ts';

const { values: given } = parseArgs({
  options: {
    overviews: { type: 'boolean' },
    points: { type: 'string', default: '1000000' },
    channels: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', multiple: true },
    markdown: { type: 'boolean', default: false },
  },
});
const [points, channels, rounds] = [given.points, given.channels, given.rounds].map(Number) as [number, number, number];
const zoomedChannels = Math.min(8, channels);
const startedAt = performance.now();
const say = (text: string) =>
  process.stderr.write(`${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6)} s  ${text}\n`);
const wants = (part: string) => given.only === undefined || given.only.includes(part);

const { options } = readArguments(['--rounds', given.rounds], isInstalled('wrk'));
const bench = openBench(options, say);
const results: Result[] = [];
const add = async (work: Promise<Result[]>) => {
  for (const result of await work) {
    results.push(result);
    const { title, ours, baseline, unit } = result;
    say(`${title}: ${ours.toPrecision(3)}${baseline === null ? '' : ` against ${baseline.toPrecision(3)}`} ${unit}`);
  }
};

const closings = [bench.close];
// A Ctrl-C comes twice, from the terminal and from start.mjs. A second close does nothing more.
const stopEarly = () =>
  void Promise.allSettled(closings.toReversed().map((one) => one())).then(() => process.exit(130));
process.on('SIGINT', stopEarly).on('SIGTERM', stopEarly);

/** Measures the reads. Each run is filled before the first row that needs it, and removed after the last. */
async function measureReads(): Promise<void> {
  const bed = await openBed(bench.folder, say);
  closings.push(bed.close);
  const reading = { bed, rounds };
  try {
    if (wants('reads') || wants('zoom') || wants('statistics')) {
      const run = await fillRun(bed, { points, pointsPerChunk: 100, channels });
      if (wants('reads')) {
        await add(fewPoints(reading, run));
        await add(manyChannels(reading, run));
        await add(shortWindow(reading, run));
      }
      if (wants('zoom')) await add(zoom(reading, run, zoomedChannels));
      if (wants('statistics')) await add(statisticsAgainstSql(reading, run));
      await removeRuns(bed);
    }
    if (wants('reads')) {
      const run = await fillRun(bed, { points, pointsPerChunk: 1_000, channels: 1 });
      await add(fewPoints(reading, run));
      await removeRuns(bed);
    }
    if (wants('growth')) {
      const small = await fillRun(bed, { points: points / 10, pointsPerChunk: 1_000, channels: zoomedChannels });
      const large = await fillRun(bed, { points: points * 10, pointsPerChunk: 1_000, channels: zoomedChannels });
      await add(growth(reading, small, large, zoomedChannels));
    }
  } finally {
    await bed.close();
  }
}

try {
  if (['reads', 'zoom', 'growth', 'statistics'].some(wants)) await measureReads();
  if (wants('cost')) await add(costForIngest(bench, points));
} finally {
  await bench.close();
}
const { processor, cores, memoryGb, system, node, loadBefore } = describeMachine();
say(`${processor}, ${cores} cores, ${memoryGb} GB, ${system}, Node ${node}, load at the end ${loadBefore}`);
process.stdout.write(`\n${given.markdown ? markdownTable(results) : textTable(results)}\n`);
