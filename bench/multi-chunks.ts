import { compare, oursDurability } from './support/rounds.ts';
import type { Row } from './support/row.ts';

export const multiChunks: Row = {
  id: 'multi',
  question: 'What is gained by sending ten channels in one request?',
  async run(bench) {
    const pointsPerSecond = async (format: 'chunk' | 'multi', channels: number) =>
      (await bench.measureOn('ours', { format, points: 100, channels })).pointsPerSecond;
    const result = await compare(
      bench,
      {
        title: 'chunk/multi of 10 channels × 100 points, against single chunks',
        unit: 'points/s',
        bound: { of: 'ratio', is: 'at least', must: 1.5, aim: 2.5 },
      },
      {
        ours: { durability: oursDurability, round: () => pointsPerSecond('multi', 10) },
        baseline: { durability: oursDurability, round: () => pointsPerSecond('chunk', 1) },
      },
    );
    return [result];
  },
};
