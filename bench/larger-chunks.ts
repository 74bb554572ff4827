import { compare, oursDurability } from './support/rounds.ts';
import type { Row } from './support/row.ts';

export const largerChunks: Row = {
  id: 'larger-chunks',
  question: 'What is gained by chunks of 1,000 points?',
  async run(bench) {
    const pointsPerSecond = async (points: number) =>
      (await bench.measureOn('ours', { format: 'chunk', points })).pointsPerSecond;
    const result = await compare(
      bench,
      {
        title: 'chunks of 1,000 points, against chunks of 100 points',
        unit: 'points/s',
        bound: { of: 'ratio', is: 'at least', must: 1.5, aim: 2.5 },
      },
      {
        ours: { durability: oursDurability, round: () => pointsPerSecond(1_000) },
        baseline: { durability: oursDurability, round: () => pointsPerSecond(100) },
      },
    );
    return [result];
  },
};
