import { createHash } from 'node:crypto';
import { download } from '../support/download.ts';
import { median, resultOf } from '../support/rounds.ts';
import type { Bound, Result } from '../support/row.ts';
import type { Bed, Side } from './bed.ts';
import type { Run } from './fill.ts';

export interface Reading {
  bed: Bed;
  rounds: number;
}

const pointsMax = 2_000;
const durability = { ours: 'by overviews, to the last byte', baseline: 'without them, to the last byte' };
/** The most rounds of the baseline, which takes seconds for each. */
const slowRoundsMax = 3;

const counted = (points: number) => points.toLocaleString('en');
const sizeOf = ({ points, pointsPerChunk }: Run) => `${counted(points)} points in chunks of ${counted(pointsPerChunk)}`;

/** Reads one channel as a few points. */
export async function fewPoints(reading: Reading, run: Run): Promise<Result[]> {
  const bound = { of: 'ours', is: 'at most', must: 120, aim: 40 } as const;
  const path = pathOf(run, { channels: 1 });
  return [await alternated(reading, { title: `${sizeOf(run)} to ${counted(pointsMax)}`, bound }, [path])];
}

/** Reads all channels of a run by one request. */
export async function manyChannels(reading: Reading, run: Run): Promise<Result[]> {
  const bound = { of: 'ours', is: 'at most', must: 1_200, aim: 400 } as const;
  const { length } = run.channelNames;
  const title = `${length} channels of ${sizeOf(run)} to ${counted(pointsMax)} each, one request (all but one copied in SQL)`;
  return [await alternated(reading, { title, bound }, [pathOf(run, { channels: length })])];
}

/** Reads ten seconds at the beginning, in the middle and at the end: of one channel, and of all. */
export async function shortWindow(reading: Reading, run: Run): Promise<Result[]> {
  const bound = { of: 'ours', is: 'at most', must: 15, aim: 5 } as const;
  const seconds = 10;
  const starts = [0, 0.37, 1].map((share) => run.start + share * (run.end - run.start - seconds));
  const pathsOf = (channels: number) => starts.map((start) => pathOf(run, { channels, start, end: start + seconds }));
  const { length } = run.channelNames;
  const ofAll = { of: 'ours', is: 'at most', must: 15 * length, aim: 5 * length } as const;
  return [
    await alternated(reading, { title: `a window of ${seconds} s in ${sizeOf(run)}, one channel`, bound }, pathsOf(1)),
    await alternated(reading, { title: `the same, ${length} channels in one request`, bound: ofAll }, pathsOf(length)),
  ];
}

/** Reads the paths one after the other, in alternating rounds of both sides. A round counts as the median of its reads. */
async function alternated(
  { bed, rounds }: Reading,
  line: { title: string; bound: Bound },
  paths: string[],
): Promise<Result> {
  const figures = { ours: [] as number[], baseline: [] as number[] };
  // The first answers do not count, since Node compiles and PostgreSQL reads from disk. All later ones must be equal to them.
  const expected: string[] = [];
  for (const path of paths) expected.push((await read(bed.without, path)).hash);
  for (const path of paths) await read(bed.withOverviews, path);
  const round = async (side: Side) => {
    const all: number[] = [];
    for (const [i, path] of paths.entries()) {
      const { ms, hash } = await read(side, path);
      if (hash !== expected[i]) throw new Error(`${path} is answered with other bytes than without overviews`);
      all.push(ms);
    }
    return median(all);
  };
  for (let i = 0; i < rounds; i++) {
    figures.ours.push(await round(bed.withOverviews));
    const baseline = i < slowRoundsMax ? await round(bed.without) : median(figures.baseline);
    figures.baseline.push(baseline);
  }
  bed.say(`  rounds: ${figures.ours.map((ms) => ms.toFixed(1)).join(', ')} ms`);
  return resultOf({ ...line, unit: 'ms' }, figures, durability);
}

/** Zooms into a run, from the whole of it to one second. */
export async function zoom(reading: Reading, run: Run, channels: number): Promise<Result[]> {
  const { ours, baseline } = await zoomed(reading, run, channels, true);
  const title = (what: string) =>
    `zoom from the whole to 1 s in ${zoomReads} even steps, ${channels} channels of ${sizeOf(run)}: ${what}`;
  const line = (what: string, of: (all: number[]) => number): Result => {
    const marks = { of: 'ours', is: 'at most', must: 150, aim: 60 } as const;
    const rounds = { ours: ours.map(of), baseline: baseline.map(of) };
    const [mine, theirs] = [median(rounds.ours), median(rounds.baseline)];
    return {
      ...{ title: title(what), unit: 'ms', bound: marks, durability, rounds },
      ...{ ours: mine, baseline: theirs, ratio: mine / theirs },
    };
  };
  return [line('the slowest', slowestOf), line('the median', median)];
}

/** The same zoom in two runs; one is a hundred times as long as the other. */
export async function growth(reading: Reading, small: Run, large: Run, channels: number): Promise<Result[]> {
  const [ofSmall, ofLarge] = [
    await zoomed(reading, small, channels, false),
    await zoomed(reading, large, channels, false),
  ];
  const line = (what: string, of: (all: number[]) => number) =>
    resultOf(
      {
        title: `zoom in ${channels} channels of ${sizeOf(large)} each, against ${counted(small.points)}: ${what}`,
        unit: 'ms',
        bound: { of: 'ratio', is: 'at most', must: 2, aim: 1.2 },
      },
      { ours: ofLarge.ours.map(of), baseline: ofSmall.ours.map(of) },
      { ours: 'by overviews, to the last byte', baseline: 'by overviews, to the last byte' },
    );
  return [line('the slowest', slowestOf), line('the median', median)];
}

const zoomReads = 25;
const slowestOf = (all: number[]) => Math.max(...all);

/** @returns for each round the ms of each read; without overviews there is one round */
async function zoomed({ bed, rounds }: Reading, run: Run, channels: number, isCompared: boolean) {
  const spans = Array.from({ length: zoomReads }, (_, i) => (run.end - run.start) ** (1 - i / (zoomReads - 1)));
  const paths = spans.map((span) => {
    const start = run.start + (run.end - run.start - span) * 0.37;
    return pathOf(run, { channels, start, end: start + span });
  });
  const oneRound = async (side: Side) => {
    const all = [];
    for (const path of paths) all.push(await read(side, path));
    return all;
  };
  const first = await oneRound(bed.withOverviews);
  const without = isCompared ? await oneRound(bed.without) : [];
  without.forEach(({ hash }, i) => {
    if (hash !== first[i]?.hash) throw new Error(`${paths[i]} is answered with other bytes than without overviews`);
  });
  const msOf = (reads: { ms: number }[]) => reads.map(({ ms }) => ms);
  const ours: number[][] = [];
  for (let i = 0; i < rounds; i++) ours.push(msOf(await oneRound(bed.withOverviews)));
  const middle = spans.map(
    (span, i) =>
      `${span < 10 ? span.toFixed(1) : Math.round(span)} s: ${median(ours.map((all) => all[i] as number)).toFixed(0)}`,
  );
  bed.say(
    `  zoom in ${sizeOf(run)}, first round ${Math.max(...msOf(first)).toFixed(0)} ms at most; by window, ms: ${middle.join(', ')}`,
  );
  return { ours, baseline: isCompared ? [msOf(without)] : [] };
}

function pathOf(run: Run, { channels, start, end }: { channels: number; start?: number; end?: number }): string {
  const query = new URLSearchParams({ max_points: String(pointsMax) });
  if (channels < run.channelNames.length)
    for (const name of run.channelNames.slice(0, channels)) query.append('property_names', name);
  if (start !== undefined) query.set('start', start.toFixed(3));
  if (end !== undefined) query.set('end', end.toFixed(3));
  return `/tool-state/${run.dataId}/timeseries/?${query}`;
}

async function read(side: Side, path: string): Promise<{ ms: number; hash: string }> {
  const hash = createHash('sha256');
  const ms = await download(side, path, (piece) => hash.update(piece));
  return { ms, hash: hash.digest('hex') };
}
