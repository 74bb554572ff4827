import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bench } from './support/bench.ts';
import { fillWithPoints } from './support/fill.ts';
import { measure } from './support/load.ts';
import { nodeFlags } from './support/processes.ts';
import { median, oursDurability } from './support/rounds.ts';
import type { Result, Row } from './support/row.ts';
import type { Target } from './support/target.ts';

export const soakBackup: Row = {
  id: 'soak-backup',
  question: 'How long does a backup take beside full ingest, how large is it, and what does ingest lose?',
  soak: true,
  run: (bench) =>
    bench.on('ours', async (target) => {
      await fillWithPoints(target, bench.options.storedPoints, bench.say);
      await chunksPerSecond(bench, target);
      const alone = [await chunksPerSecond(bench, target)];
      const points = await target.storedPoints();
      const backup = backUp(bench, target);
      const beside: number[] = [];
      while (!backup.isOver() || beside.length === 0) beside.push(await chunksPerSecond(bench, target));
      const { seconds, bytes } = await backup.done;
      // The backup ended during the last measurement, so that is partly without it.
      if (beside.length > 1) beside.pop();
      alone.push(await chunksPerSecond(bench, target));
      return resultsOf({ points, seconds, bytes, beside, alone });
    }),
};

/** Starts the command as an operator would. */
function backUp({ folder }: Bench, { settings }: Target) {
  const file = join(folder, 'all.backup');
  const command = fileURLToPath(new URL('../src/commands/cli.js', import.meta.url));
  const { PATH, HOME } = process.env;
  const startedAt = performance.now();
  let output = '';
  let isOver = false;
  const child = spawn(process.execPath, [...nodeFlags, command, 'backup', file], { env: { PATH, HOME, ...settings } });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-2_000);
    });
  }
  const done = new Promise<{ seconds: number; bytes: number }>((resolve, reject) => {
    child.once('close', (code) => {
      isOver = true;
      if (code === 0) resolve({ seconds: (performance.now() - startedAt) / 1_000, bytes: statSync(file).size });
      else reject(new Error(`the backup ended with ${code}: ${output}`));
    });
  });
  done.catch(() => {});
  return { done, isOver: () => isOver };
}

interface Seen {
  points: number;
  seconds: number;
  bytes: number;
  beside: number[];
  alone: number[];
}

function resultsOf({ points, seconds, bytes, beside, alone }: Seen): Result[] {
  const of = `of ${points.toLocaleString('en')} points`;
  const one = (title: string, unit: string, value: number, must: number, aim: number): Result => ({
    ...{ title, unit, ours: value, baseline: null, ratio: null },
    bound: { of: 'ours', is: 'at most', must, aim },
    durability: { ours: 'one consistent moment', baseline: '' },
    rounds: { ours: [value], baseline: [] },
  });
  const [during, baseline] = [median(beside), median(alone)];
  const listed = (rates: number[]) => rates.map((rate) => Math.round(rate)).join(', ');
  return [
    one(`backup ${of} beside full ingest: time`, 's', seconds, 600, 120),
    one(`backup ${of}: size, random values of nine decimals as they were sent`, 'bytes/point', bytes / points, 17, 14),
    {
      title: 'single chunks of 100 points beside a backup, against without',
      ...{ unit: 'chunks/s', ours: during, baseline, ratio: during / baseline },
      bound: { of: 'ratio', is: 'at least', must: 0.5, aim: 0.8 },
      durability: { ours: oursDurability, baseline: oursDurability },
      // The measurements did not alternate: there are as many beside the backup as it took time for.
      rounds: { ours: [during], baseline: [baseline] },
      note: `beside it ${listed(beside)}; before and after it ${listed(alone)}`,
    },
  ];
}

async function chunksPerSecond(bench: Bench, target: Target): Promise<number> {
  const measured = await measure(target, await bench.loadFor(target, { format: 'chunk', points: 100 }), bench.options);
  bench.say(`${Math.round(measured.requestsPerSecond)} chunks/s`);
  return measured.requestsPerSecond;
}
