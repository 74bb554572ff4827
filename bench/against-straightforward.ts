import { againstOther } from './support/rounds.ts';
import type { Row } from './support/row.ts';

export const againstStraightforward: Row = {
  id: 'straightforward',
  question: 'How much faster than a server with one transaction for each request?',
  run: async (bench) => [
    await againstOther(bench, {
      kind: 'straightforward',
      title: 'single chunks of 100 points, against the straightforward server',
      durability: 'fsync before the answer, one commit per request',
      bound: { of: 'ratio', is: 'at least', must: 5, aim: 8 },
    }),
  ],
};
