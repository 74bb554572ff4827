import { againstOther } from './support/rounds.ts';
import type { Row } from './support/row.ts';

export const againstInfluxdb: Row = {
  id: 'influxdb',
  question: 'How does it compare with a time-series database that syncs its log before it answers?',
  run: async (bench) => [
    await againstOther(bench, {
      kind: 'influx',
      title: 'single chunks of 100 points, against InfluxDB 1.6 line protocol',
      durability: 'fsync of its WAL before the answer',
      bound: { of: 'ratio', is: 'at least', must: 1.8, aim: 3 },
    }),
  ],
};
