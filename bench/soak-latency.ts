import type { Bench } from './support/bench.ts';
import { measure, watchLatency } from './support/load.ts';
import { median, oursDurability } from './support/rounds.ts';
import type { Result, Row } from './support/row.ts';

export const soakLatency: Row = {
  id: 'soak-latency',
  question: 'How long does a chunk wait for its answer at half the top speed?',
  soak: true,
  run: async (bench) => [await latencyAtHalfSpeed(bench, '', { must: 50, aim: 15 })],
};

export const mixLatency: Row = {
  id: 'mix-latency',
  question: 'How long does a chunk as labs send it wait for its answer at half the top speed?',
  soak: true,
  run: async (bench) => [await latencyAtHalfSpeed(bench, 'mix, ', { must: 35, aim: 15 })],
};

async function latencyAtHalfSpeed(
  bench: Bench,
  mix: '' | 'mix, ',
  marks: { must: number; aim: number },
): Promise<Result> {
  const { connections, latencySeconds, rounds } = bench.options;
  const wish = { format: 'chunk', points: 100, isMix: mix !== '' } as const;
  const slowest: number[] = [];
  const notes: string[] = [];
  for (let round = 0; round < rounds; round++) {
    await bench.on('ours', async (target) => {
      const top = await measure(target, await bench.loadFor(target, wish), bench.options);
      const perSecond = top.requestsPerSecond / 2;
      const load = await bench.loadFor(target, wish);
      const { latenciesMs } = await watchLatency(target, load, { connections, perSecond, seconds: latencySeconds });
      const at = (share: number) => latenciesMs[Math.floor((latenciesMs.length - 1) * share)] as number;
      slowest.push(at(0.99));
      notes.push(
        `${Math.round(perSecond)}/s: p50 ${at(0.5).toFixed(1)}, p99 ${at(0.99).toFixed(1)}, most ${at(1).toFixed(1)} ms`,
      );
      bench.say(notes.at(-1) as string);
    });
  }
  return {
    title: `${mix}p99 latency of a chunk of 100 points at half the top speed, sent at fixed times`,
    unit: 'ms',
    ours: median(slowest),
    baseline: null,
    ratio: null,
    bound: { of: 'ours', is: 'at most', ...marks },
    durability: { ours: oursDurability, baseline: '' },
    rounds: { ours: slowest, baseline: [] },
    note: notes.join('; '),
  };
}
