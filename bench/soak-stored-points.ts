import { type Bench, describeCpu } from './support/bench.ts';
import { fillWithPoints } from './support/fill.ts';
import { measure } from './support/load.ts';
import { compare, oursDurability } from './support/rounds.ts';
import type { Row } from './support/row.ts';
import type { Target } from './support/target.ts';

export const soakStoredPoints: Row = {
  id: 'soak-stored-points',
  question: 'Does it get slower as points pile up?',
  soak: true,
  run: (bench) =>
    bench.on('ours', async (full) => {
      const before = await full.storedPoints();
      await fillWithPoints(full, bench.options.storedPoints, bench.say);
      const points = (await full.storedPoints()) - before;
      await chunksPerSecond(bench, full);
      const result = await compare(
        bench,
        {
          title: `single chunks with ${points.toLocaleString('en')} points stored, against an empty database`,
          unit: 'chunks/s',
          bound: { of: 'ratio', is: 'at least', must: 0.9, aim: 1 },
        },
        {
          ours: { durability: oursDurability, round: () => chunksPerSecond(bench, full) },
          baseline: {
            durability: oursDurability,
            round: () => bench.on('ours', (empty) => warmChunksPerSecond(bench, empty)),
          },
        },
      );
      return [result];
    }),
};

/** Warms up first by a load that does not count, since the full server has been running for a while too. */
async function warmChunksPerSecond(bench: Bench, target: Target): Promise<number> {
  await chunksPerSecond(bench, target);
  return chunksPerSecond(bench, target);
}

async function chunksPerSecond(bench: Bench, target: Target): Promise<number> {
  const measured = await measure(target, await bench.loadFor(target, { format: 'chunk', points: 100 }), bench.options);
  bench.say(`${Math.round(measured.requestsPerSecond)} chunks/s, ${describeCpu(measured)}`);
  return measured.requestsPerSecond;
}
