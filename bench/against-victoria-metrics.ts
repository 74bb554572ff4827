import { againstOther } from './support/rounds.ts';
import type { Row } from './support/row.ts';

const isNode24 = Number(process.versions.node.split('.')[0]) >= 24;

export const againstVictoriaMetrics: Row = {
  id: 'victoria-metrics',
  question: 'How close does it come to a time-series database that acknowledges before it is durable?',
  run: async (bench) => [
    await againstOther(bench, {
      kind: 'victoria',
      title: 'single chunks of 100 points, against VictoriaMetrics /api/v1/import',
      durability: 'acknowledges before it is durable',
      bound: { of: 'ratio', is: 'at least', must: 0.45, aim: isNode24 ? 1 : 0.8 },
    }),
  ],
};
