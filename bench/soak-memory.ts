import type { Bench } from './support/bench.ts';
import { measure } from './support/load.ts';
import { residentBytes } from './support/processes.ts';
import { median, oursDurability } from './support/rounds.ts';
import type { Row } from './support/row.ts';
import type { Target } from './support/target.ts';

/** Few points for each chunk: the row measures what a chunk leaves behind in the server, not its arrays. */
const points = 10;
const sampleMs = 250;
const samplesKept = 20;

export const soakMemory: Row = {
  id: 'soak-memory',
  question: 'Does the server grow with the chunks that have passed through it?',
  soak: true,
  run: (bench) =>
    bench.on('ours', async (target) => {
      const { soakChunks } = bench.options;
      const early = Math.ceil(soakChunks / 20);
      const before = await residentAfter(bench, target, early);
      const after = await residentAfter(bench, target, soakChunks - early);
      return [
        {
          title: `memory of the server after ${soakChunks.toLocaleString('en')} chunks, against after ${early.toLocaleString('en')}`,
          unit: 'MB',
          ours: after,
          baseline: before,
          ratio: after / before,
          bound: { of: 'ratio', is: 'at most', must: 1.1, aim: 1 },
          durability: { ours: oursDurability, baseline: oursDurability },
          rounds: { ours: [after], baseline: [before] },
          note: `resident, median of the last ${(samplesKept * sampleMs) / 1_000} s of the load`,
        },
      ];
    }),
};

/** Sends `chunks` chunks. @returns the resident MB of the server towards the end, while it is still under load */
async function residentAfter(bench: Bench, target: Target, chunks: number): Promise<number> {
  const samples: number[] = [];
  const sample = () => {
    samples.push(residentBytes(target.pid) / 1e6);
    if (samples.length > samplesKept) samples.shift();
  };
  sample();
  const timer = setInterval(sample, sampleMs);
  try {
    const load = await bench.loadFor(target, { format: 'chunk', points });
    await measure(target, { ...load, requestsMax: chunks }, bench.options);
  } finally {
    clearInterval(timer);
  }
  bench.say(`${chunks} chunks: ${median(samples).toFixed(0)} MB`);
  return median(samples);
}
