import type { Bench } from './support/bench.ts';
import { download } from './support/download.ts';
import { measure } from './support/load.ts';
import { compare } from './support/rounds.ts';
import type { Result, Row } from './support/row.ts';

const pointsMax = 2_000;

export const downSampling: Row = {
  id: 'down-sampling',
  question: `How long does a channel take as ${pointsMax.toLocaleString('en')} points, against reading everything?`,
  run: async (bench) => [await downSampled(bench, 100), await downSampled(bench, 1_000)],
};

function downSampled(bench: Bench, pointsPerChunk: number): Promise<Result> {
  const { sampledPoints } = bench.options;
  return bench.on('ours', async (target) => {
    const load = await bench.loadFor(target, { format: 'chunk', points: pointsPerChunk });
    const [stream] = load.payload.streams as [string];
    const payload = { ...load.payload, streams: [stream] };
    // Without the first chunk, which the probe sends.
    await measure(target, { ...load, payload, requestsMax: sampledPoints / pointsPerChunk - 1 }, bench.options);
    const path = `/tool-state/${stream}/timeseries/`;
    const few = async () => {
      const pieces: Buffer[] = [];
      const ms = await download(target, `${path}?max_points=${pointsMax}`, (piece) => pieces.push(piece));
      checkAnswer(Buffer.concat(pieces).toString(), sampledPoints);
      return ms;
    };
    return compare(
      bench,
      {
        title: `${sampledPoints.toLocaleString('en')} points in chunks of ${pointsPerChunk.toLocaleString('en')} read as ${pointsMax.toLocaleString('en')}, against all of them`,
        unit: 'ms',
        bound: { of: 'ratio', is: 'at most', must: 0.2, aim: 0.1 },
      },
      {
        ours: { durability: 'from PostgreSQL to the last byte', round: few },
        baseline: { durability: 'from PostgreSQL to the last byte', round: () => download(target, path, () => {}) },
      },
    );
  });
}

/** All values of the load are different, so each part of the time range gives two points, its smallest and its largest. */
function checkAnswer(text: string, stored: number): void {
  const { properties, gaps } = JSON.parse(text) as {
    properties: { thickness: { values: (number | null)[] } };
    gaps: { thickness: object[] };
  };
  const { length } = properties.thickness.values;
  if (length > pointsMax || length < Math.min(pointsMax, stored) / 2 || gaps.thickness.length > 0) {
    throw new Error(`the answer has ${length} points and ${gaps.thickness.length} gaps`);
  }
}
