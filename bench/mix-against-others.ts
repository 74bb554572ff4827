import { againstOther } from './support/rounds.ts';
import type { Row } from './support/row.ts';

const victoria = { kind: 'victoria', durability: 'acknowledges before it is durable' } as const;
const atLeast = (must: number, aim: number) => ({ of: 'ratio', is: 'at least', must, aim }) as const;

export const mixAgainstVictoriaMetrics: Row = {
  id: 'mix-victoria',
  question: 'How close does the mix come to a time-series database that acknowledges before it is durable?',
  run: async (bench) => [
    await againstOther(
      bench,
      { ...victoria, title: 'mix, single chunks of 100 points, against VictoriaMetrics', bound: atLeast(0.5, 0.65) },
      { isMix: true },
    ),
    await againstOther(
      bench,
      { ...victoria, title: 'mix, single chunks of 1,000 points, against VictoriaMetrics', bound: atLeast(0.7, 1) },
      { isMix: true, points: 1_000 },
    ),
    await againstOther(
      bench,
      {
        ...victoria,
        title: 'mix, chunk/multi of 10 channels × 100 points, against VictoriaMetrics with ten series a body',
        unit: 'requests/s',
        // It is only measured; no ratio counts as a failure.
        bound: atLeast(0, 1),
      },
      { isMix: true, channels: 10 },
    ),
  ],
};

export const mixAgainstInfluxdb: Row = {
  id: 'mix-influx',
  question: 'How does the mix compare with a time-series database that syncs its log before it answers?',
  run: async (bench) => [
    await againstOther(
      bench,
      {
        kind: 'influx',
        title: 'mix, single chunks of 100 points, against InfluxDB 1.6 line protocol',
        durability: 'fsync of its WAL before the answer',
        bound: atLeast(1.6, 2),
      },
      { isMix: true },
    ),
  ],
};
